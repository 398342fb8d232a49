//! What the programs look things up in. The layouts are those of `bpf/session.bpf.c`.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, MapError};
use ppp_wire::MacAddr;

use super::attach::Owner;
use super::drops::Drops;
use super::{DeviceError, Settings};
use crate::interface::IfIndex;
pub use crate::packet::SessionKey;

const PEER_KEY: usize = 12;
const DEVICE: usize = 44;
const BUCKET: usize = 16;
pub(super) const SETTINGS: usize = 48;

// Of `struct device`.
const OPEN_IPV4: u32 = 1;
const OPEN_IPV6: u32 = 2;
const ANY_IPV4_SOURCE: u32 = 4;

/// Whose frames a device's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The access interface.
    pub access: IfIndex,
    /// `SESSION_ID`, in host byte order.
    pub session_id: u16,
    /// The access interface's address.
    pub own: MacAddr,
    /// The peer's address.
    pub peer: MacAddr,
}

/// Which packets of IP may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// IPv4, with the peer's address, the only source of what it sends.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv4 packets may have any source.
    pub any_ipv4_source: bool,
    /// IPv6, with the peer's address, likewise.
    pub ipv6: Option<Ipv6Addr>,
}

/// Frames per second, as many of which may come at once as `burst` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub per_second: u32,
    /// At least 1.
    pub burst: u32,
}

impl Rate {
    /// Nanoseconds for a frame, and for all that may come at once but the first.
    fn times(rate: Option<Self>) -> (u64, u64) {
        let second = Duration::from_secs(1).as_nanos();
        let Some(rate) = rate else { return (0, 0) };
        let interval = u64::try_from(second / u128::from(rate.per_second.max(1))).unwrap_or(u64::MAX).max(1);
        (interval, interval.saturating_mul(u64::from(rate.burst.saturating_sub(1))))
    }
}

/// `struct settings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawSettings([u8; SETTINGS]);

impl RawSettings {
    pub(super) fn new(owner: &Owner, settings: &Settings) -> Self {
        let ((control, control_burst), (frames, frame_burst)) =
            (Rate::times(settings.control), Rate::times(settings.frames));
        let mut bytes = Bytes::<SETTINGS>::default();
        bytes.put(&owner.hash().to_ne_bytes());
        bytes.put(&u32::from(owner.tag()).to_ne_bytes());
        bytes.put(&u16::from(settings.session).to_be_bytes());
        bytes.put(&u16::from(settings.discovery).to_be_bytes());
        for time in [control, control_burst, frames, frame_burst] {
            bytes.put(&time.to_ne_bytes());
        }
        Self(bytes.0)
    }
}

/// The `owner` of a `struct settings`.
pub(super) fn owner_of(settings: &[u8; SETTINGS]) -> u64 {
    settings.first_chunk().map_or(0, |owner| u64::from_ne_bytes(*owner))
}

/// A value that is put together piece by piece.
struct Bytes<const N: usize>([u8; N], usize);

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Self {
        Self([0; N], 0)
    }
}

impl<const N: usize> Bytes<N> {
    fn put(&mut self, piece: &[u8]) {
        let rest = self.0.get_mut(self.1..).unwrap_or_default();
        for (to, from) in rest.iter_mut().zip(piece) {
            *to = *from;
        }
        self.1 += piece.len();
    }
}

impl Line {
    fn key(&self) -> [u8; PEER_KEY] {
        let mut bytes = Bytes::default();
        bytes.put(&self.access.get().to_ne_bytes());
        bytes.put(&self.session_id.to_be_bytes());
        bytes.put(&self.peer.0);
        bytes.0
    }

    fn device(&self, open: Open) -> [u8; DEVICE] {
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        let flags = flag(open.ipv4.is_some(), OPEN_IPV4)
            | flag(open.ipv6.is_some(), OPEN_IPV6)
            | flag(open.any_ipv4_source, ANY_IPV4_SOURCE);
        let mut bytes = Bytes::default();
        bytes.put(&self.access.get().to_ne_bytes());
        bytes.put(&flags.to_ne_bytes());
        bytes.put(&open.ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
        bytes.put(&self.session_id.to_be_bytes());
        bytes.put(&self.peer.0);
        bytes.put(&self.own.0);
        bytes.put(&[0; 2]);
        bytes.put(&open.ipv6.unwrap_or(Ipv6Addr::UNSPECIFIED).octets());
        bytes.0
    }

    /// The parts of a device that do not change.
    fn is_of(&self, device: &[u8; DEVICE]) -> bool {
        let ours = self.device(Open::default());
        [0..4, 12..28].into_iter().all(|range| ours.get(range.clone()) == device.get(range))
    }
}

type Table<K, V> = Mutex<HashMap<MapData, K, V>>;

/// The maps.
pub(super) struct Maps {
    settings: Mutex<Array<MapData, [u8; SETTINGS]>>,
    peers: Table<[u8; PEER_KEY], u32>,
    devices: Table<u32, [u8; DEVICE]>,
    buckets: Table<u32, [u8; BUCKET]>,
    drops: Table<u32, [u8; Drops::SIZE]>,
    forged: Table<u32, u64>,
}

impl fmt::Debug for Maps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Maps").finish_non_exhaustive()
    }
}

/// Their names, which are also those of their pins.
pub(super) const NAMES: [&str; 6] = [SETTINGS_MAP, PEERS, DEVICES, BUCKETS, DROPS, FORGED];

pub(super) const SETTINGS_MAP: &str = "pppoe_settings";
const PEERS: &str = "pppoe_peers";
const DEVICES: &str = "pppoe_devices";
const BUCKETS: &str = "pppoe_buckets";
const DROPS: &str = "pppoe_drops";
const FORGED: &str = "pppoe_forged";

impl Maps {
    /// Takes them out of the object that they were made, or found, for.
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, DeviceError> {
        Ok(Self {
            settings: take(object, SETTINGS_MAP)?,
            peers: take(object, PEERS)?,
            devices: take(object, DEVICES)?,
            buckets: take(object, BUCKETS)?,
            drops: take(object, DROPS)?,
            forged: take(object, FORGED)?,
        })
    }

    pub(super) fn set_settings(&self, settings: &RawSettings) -> Result<(), DeviceError> {
        lock(&self.settings).set(0, settings.0, 0).map_err(failed("write", SETTINGS_MAP))
    }

    /// An access interface is served: what is dropped there is counted from now on.
    pub(super) fn count_at(&self, access: IfIndex) -> Result<(), DeviceError> {
        let mut drops = lock(&self.drops);
        if get(&drops, &access.get(), DROPS)?.is_none() {
            drops.insert(access.get(), [0; Drops::SIZE], 0).map_err(failed("write", DROPS))?;
        }
        Ok(())
    }

    pub(super) fn admit(&self, device: IfIndex, line: &Line, open: Open) -> Result<(), DeviceError> {
        {
            let mut buckets = lock(&self.buckets);
            if get(&buckets, &device.get(), BUCKETS)?.is_none() {
                buckets.insert(device.get(), [0; BUCKET], 0).map_err(failed("write", BUCKETS))?;
            }
        }
        lock(&self.devices).insert(device.get(), line.device(open), 0).map_err(failed("write", DEVICES))?;
        lock(&self.peers).insert(line.key(), device.get(), 0).map_err(failed("write", PEERS))
    }

    pub(super) fn is_admitted(&self, device: IfIndex, line: &Line) -> Result<bool, DeviceError> {
        let leads_here = get(&lock(&self.peers), &line.key(), PEERS)? == Some(device.get());
        let found = get(&lock(&self.devices), &device.get(), DEVICES)?;
        Ok(leads_here && found.is_some_and(|found| line.is_of(&found)))
    }

    pub(super) fn devices(&self) -> Result<BTreeSet<u32>, DeviceError> {
        let leads_to: Result<BTreeSet<u32>, MapError> =
            lock(&self.peers).iter().map(|entry| entry.map(|(_, device)| device)).collect();
        let leads_to = leads_to.map_err(failed("read", PEERS))?;
        let there: Result<BTreeSet<u32>, MapError> = lock(&self.devices).keys().collect();
        Ok(leads_to.union(&there.map_err(failed("read", DEVICES))?).copied().collect())
    }

    pub(super) fn remove(&self, device: IfIndex, line: &Line) -> Result<(), DeviceError> {
        // The key may be a later session's by now.
        if get(&lock(&self.peers), &line.key(), PEERS)? == Some(device.get()) {
            remove(&mut lock(&self.peers), &line.key(), PEERS)?;
        }
        remove(&mut lock(&self.forged), &u32::from(line.session_id), FORGED)?;
        remove(&mut lock(&self.devices), &device.get(), DEVICES)?;
        remove(&mut lock(&self.buckets), &device.get(), BUCKETS)
    }

    pub(super) fn prune(&self, is_known: impl Fn(u32) -> bool) -> Result<usize, DeviceError> {
        let mut peers = lock(&self.peers);
        let stale: Vec<_> = peers
            .iter()
            .filter_map(Result::ok)
            .filter(|(_, device)| !is_known(*device))
            .map(|(key, _)| key)
            .collect();
        for key in &stale {
            remove(&mut peers, key, PEERS)?;
        }
        let mut devices = lock(&self.devices);
        let dead: Vec<u32> =
            devices.keys().filter_map(Result::ok).filter(|device| !is_known(*device)).collect();
        for device in &dead {
            remove(&mut devices, device, DEVICES)?;
            remove(&mut lock(&self.buckets), device, BUCKETS)?;
        }
        Ok(stale.len())
    }

    pub(super) fn drops(&self, access: IfIndex) -> Result<Drops, DeviceError> {
        Ok(get(&lock(&self.drops), &access.get(), DROPS)?.map(Drops::from_bytes).unwrap_or_default())
    }

    pub(super) fn forged(&self, session_id: u16) -> Result<u64, DeviceError> {
        Ok(get(&lock(&self.forged), &session_id.into(), FORGED)?.unwrap_or(0))
    }
}

fn take<T>(object: &mut Ebpf, name: &'static str) -> Result<Mutex<T>, DeviceError>
where
    T: TryFrom<Map, Error = MapError>,
{
    let map = object.take_map(name).ok_or(DeviceError::Missing(name))?;
    T::try_from(map).map(Mutex::new).map_err(failed("use", name))
}

fn failed(action: &'static str, map: &'static str) -> impl FnOnce(MapError) -> DeviceError {
    move |source| DeviceError::Map { action, map, source }
}

fn get<K: aya::Pod, V: aya::Pod>(
    map: &HashMap<MapData, K, V>,
    key: &K,
    name: &'static str,
) -> Result<Option<V>, DeviceError> {
    match map.get(key, 0) {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(failed("read", name)(error)),
    }
}

fn remove<K: aya::Pod, V: aya::Pod>(
    map: &mut HashMap<MapData, K, V>,
    key: &K,
    name: &'static str,
) -> Result<(), DeviceError> {
    match map.remove(key) {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(nix::libc::ENOENT) => {
            Ok(())
        }
        Err(error) => Err(failed("write", name)(error)),
    }
}

/// A thread that panicked has left no entry half written.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
