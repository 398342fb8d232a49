//! The fields of a session in a list.

use std::{
    cmp::Ordering,
    fmt::{self, Display},
    str::FromStr,
};

use clap::ValueEnum;
use ppp_ipc::control::SessionSummary;

use super::Entry;
use crate::output::{
    csv,
    grid::{Align, Column},
    name, or_none,
    style::Style,
    text, units,
};

/// Something to know of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Field {
    /// PPPoE session id
    Id,
    /// User name
    #[value(alias = "username")]
    User,
    /// The peer's IPv4 address
    Ip,
    /// The session's network interface
    Ifname,
    /// Phase, such as open
    State,
    /// Time since the session began
    #[value(alias = "uptime_s")]
    Uptime,
    /// The peer's Ethernet address
    Mac,
    /// Bytes from the peer
    #[value(alias = "traffic.rx_bytes")]
    Rx,
    /// Bytes to the peer
    #[value(alias = "traffic.tx_bytes")]
    Tx,
    /// Access interface
    Interface,
    /// Service-Name that the peer chose
    Service,
    /// Packets from the peer
    #[value(alias = "traffic.rx_packets")]
    RxPackets,
    /// Packets to the peer
    #[value(alias = "traffic.tx_packets")]
    TxPackets,
    /// Bytes both ways
    #[value(alias = "traffic.bytes")]
    Traffic,
    /// Bits per second from the peer, now
    #[value(alias = "rate.rx_bit_per_s")]
    RxRate,
    /// Bits per second to the peer, now
    #[value(alias = "rate.tx_bit_per_s")]
    TxRate,
    /// Bits per second both ways, now
    #[value(alias = "rate.bit_per_s")]
    Rate,
}

/// Shown unless others are asked for.
pub(crate) const DEFAULT: [Field; 11] = [
    Field::Id,
    Field::User,
    Field::Ip,
    Field::Ifname,
    Field::State,
    Field::Uptime,
    Field::Mac,
    Field::Rx,
    Field::Tx,
    Field::Interface,
    Field::Service,
];

impl Field {
    /// The word for it on command lines, and the heading in CSV.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether it has to be measured.
    pub(crate) fn is_rate(self) -> bool {
        matches!(self, Self::RxRate | Self::TxRate | Self::Rate)
    }

    /// Whether it is one of which more is more.
    pub(crate) fn is_amount(self) -> bool {
        match self {
            Self::Uptime
            | Self::Rx
            | Self::Tx
            | Self::RxPackets
            | Self::TxPackets
            | Self::Traffic
            | Self::RxRate
            | Self::TxRate
            | Self::Rate => true,
            Self::Id
            | Self::User
            | Self::Ip
            | Self::Ifname
            | Self::State
            | Self::Mac
            | Self::Interface
            | Self::Service => false,
        }
    }

    /// Its name for programs, in JSON and CSV, inner fields behind a dot. The sums are in CSV only.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::User => "username",
            Self::Ip => "ip",
            Self::Ifname => "ifname",
            Self::State => "state",
            Self::Uptime => "uptime_s",
            Self::Mac => "mac",
            Self::Rx => "traffic.rx_bytes",
            Self::Tx => "traffic.tx_bytes",
            Self::Interface => "interface",
            Self::Service => "service",
            Self::RxPackets => "traffic.rx_packets",
            Self::TxPackets => "traffic.tx_packets",
            Self::Traffic => "traffic.bytes",
            Self::RxRate => "rate.rx_bit_per_s",
            Self::TxRate => "rate.tx_bit_per_s",
            Self::Rate => "rate.bit_per_s",
        }
    }

    /// Its column in a table, and how that gives way.
    pub(crate) fn column(self) -> Column {
        match self {
            Self::Id => Column::new("ID", Align::Right, 0),
            Self::User => Column::new("USER", Align::Left, 0).shrink_to(12),
            Self::Ip => Column::new("IP", Align::Left, 0),
            Self::Ifname => Column::new("IFNAME", Align::Left, 0),
            Self::State => Column::new("STATE", Align::Left, 0).styled(state_style),
            Self::Uptime => Column::new("UPTIME", Align::Right, 1),
            Self::Mac => Column::new("MAC", Align::Left, 2),
            Self::Rx => Column::new("RX", Align::Right, 4),
            Self::Tx => Column::new("TX", Align::Right, 3),
            Self::Interface => Column::new("ON", Align::Left, 5),
            Self::Service => Column::new("SERVICE", Align::Left, 6).shrink_to(8),
            Self::RxPackets => Column::new("RX-PACKETS", Align::Right, 4),
            Self::TxPackets => Column::new("TX-PACKETS", Align::Right, 3),
            Self::Traffic => Column::new("TRAFFIC", Align::Right, 2),
            Self::RxRate => Column::new("RX-RATE", Align::Right, 4),
            Self::TxRate => Column::new("TX-RATE", Align::Right, 3),
            Self::Rate => Column::new("RATE", Align::Right, 0),
        }
    }

    /// For people.
    pub(crate) fn cell(self, entry: &Entry) -> String {
        let session = &entry.session;
        match self {
            Self::User => name(session.username.as_ref()),
            Self::Ip => or_none(session.ip),
            Self::Ifname => text(&session.ifname),
            Self::Uptime => units::duration(session.uptime_s),
            Self::Mac => text(&session.mac),
            Self::Rx | Self::Tx | Self::Traffic => units::bytes(self.number(entry).unwrap_or(0)),
            Self::Interface => text(&session.interface),
            Self::Service => name(Some(&session.service)),
            Self::RxRate | Self::TxRate | Self::Rate => {
                or_none(self.number(entry).map(units::bits_per_second))
            }
            Self::Id | Self::State | Self::RxPackets | Self::TxPackets => self.raw(entry),
        }
    }

    /// For programs: numbers without units, nothing where there is nothing.
    pub(crate) fn raw(self, entry: &Entry) -> String {
        let session = &entry.session;
        match self {
            Self::User => session.username.as_ref().map(csv::name).unwrap_or_default(),
            Self::Ip => session.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            Self::Ifname => session.ifname.clone(),
            Self::State => session.state.as_str().to_owned(),
            Self::Mac => session.mac.clone(),
            Self::Interface => session.interface.clone(),
            Self::Service => csv::name(&session.service),
            _ => self.number(entry).map(|number| number.to_string()).unwrap_or_default(),
        }
    }

    /// Bytes, packets, seconds, bits per second.
    fn number(self, entry: &Entry) -> Option<u64> {
        let SessionSummary { id, uptime_s, traffic, .. } = &entry.session;
        match self {
            Self::Id => Some(u64::from(*id)),
            Self::Uptime => Some(*uptime_s),
            Self::Rx => Some(traffic.rx_bytes),
            Self::Tx => Some(traffic.tx_bytes),
            Self::Traffic => Some(traffic.rx_bytes.saturating_add(traffic.tx_bytes)),
            Self::RxPackets => Some(traffic.rx_packets),
            Self::TxPackets => Some(traffic.tx_packets),
            Self::RxRate => entry.rate.map(|rate| rate.rx),
            Self::TxRate => entry.rate.map(|rate| rate.tx),
            Self::Rate => entry.rate.map(|rate| rate.rx.saturating_add(rate.tx)),
            Self::User
            | Self::Ip
            | Self::Ifname
            | Self::State
            | Self::Mac
            | Self::Interface
            | Self::Service => None,
        }
    }

    fn compare(self, a: &Entry, b: &Entry) -> Ordering {
        let (left, right) = (&a.session, &b.session);
        match self {
            Self::User => left.username.cmp(&right.username),
            Self::Ip => left.ip.cmp(&right.ip),
            Self::Ifname => natural(&left.ifname).cmp(&natural(&right.ifname)),
            // In the order in which sessions go through them.
            Self::State => phase_order(left).cmp(&phase_order(right)),
            Self::Mac => left.mac.cmp(&right.mac),
            Self::Interface => natural(&left.interface).cmp(&natural(&right.interface)),
            Self::Service => left.service.cmp(&right.service),
            _ => self.number(a).cmp(&self.number(b)),
        }
    }
}

fn phase_order(session: &SessionSummary) -> usize {
    use ppp_ipc::control::Phase::{Authenticate, Establish, Network, Open, Starting, Terminate};
    let order = [Starting, Establish, Authenticate, Network, Open, Terminate];
    order.iter().position(|phase| *phase == session.state).unwrap_or(order.len())
}

/// So that `ppp9` comes before `ppp10`.
fn natural(name: &str) -> (&str, u64, &str) {
    let stem = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let number = name.strip_prefix(stem).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (stem, number, name)
}

/// By the words of [`ppp_ipc::control::Phase`].
fn state_style(state: &str) -> Style {
    match state {
        "open" => Style::Good,
        "terminate" => Style::Bad,
        _ => Style::Pending,
    }
}

/// A field to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortKey {
    pub(crate) field: Field,
    /// From large to small.
    pub(crate) descending: bool,
}

impl Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.field.name(), if self.descending { "-" } else { "" })
    }
}

impl FromStr for SortKey {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let (name, descending) = match word.strip_suffix('-') {
            Some(name) => (name, true),
            None => (word.strip_suffix('+').unwrap_or(word), false),
        };
        let field = Field::from_str(name, false).map_err(|_| {
            let names: Vec<String> = Field::value_variants().iter().map(|field| field.name()).collect();
            format!("there is no field {name:?}, but {}", names.join(", "))
        })?;
        Ok(Self { field, descending })
    }
}

/// Sorts by the first key, what is equal by the next one, and so on; what is equal in all stays in its order.
pub(crate) fn sort(entries: &mut [Entry], keys: &[SortKey]) {
    entries.sort_by(|a, b| {
        let orders = keys.iter().map(|key| {
            let order = key.field.compare(a, b);
            if key.descending { order.reverse() } else { order }
        });
        orders.fold(Ordering::Equal, Ordering::then)
    });
}

#[cfg(test)]
mod tests {
    use ppp_ipc::control::{Phase, Traffic};

    use super::*;
    use crate::output::{json, samples};

    fn sorted(keys: &str) -> Vec<u16> {
        let mut entries: Vec<Entry> = (1..=4)
            .zip(["ppp10", "ppp9", "eth1", "ppp9"])
            .map(|(id, ifname)| {
                let traffic = Traffic { rx_bytes: u64::from(id % 2), ..Traffic::default() };
                let state = if id == 3 { Phase::Terminate } else { Phase::Open };
                let session =
                    SessionSummary { ifname: ifname.into(), traffic, state, ..samples::summary(id) };
                Entry { session, rate: (id > 2).then_some(Rate { rx: u64::from(id), tx: 0 }) }
            })
            .collect();
        let keys: Vec<SortKey> = keys.split(',').map(|key| key.parse().unwrap()).collect();
        sort(&mut entries, &keys);
        entries.iter().map(|entry| entry.session.id).collect()
    }

    use super::super::rate::Rate;

    #[test]
    fn entries_are_sorted() {
        for (keys, ids) in [
            ("id", [1, 2, 3, 4]),
            ("id-", [4, 3, 2, 1]),
            ("ifname", [3, 2, 4, 1]),
            ("ifname,id-", [3, 4, 2, 1]),
            ("rx-,id+", [1, 3, 2, 4]),
            ("state-,id", [3, 1, 2, 4]),
            ("rate-", [4, 3, 1, 2]),
            ("user", [1, 2, 3, 4]),
        ] {
            assert_eq!(sorted(keys), ids, "{keys}");
        }
        let error = SortKey::from_str("size-").unwrap_err();
        assert!(error.starts_with("there is no field \"size\", but id, user, ip,"), "{error}");
    }

    #[test]
    fn fields_are_called_in_csv_as_in_json() {
        let session = samples::summary(7);
        let listed = json::ListedSession::new(&session, Some((1, 2)));
        let listed = serde_json::to_value(&listed).unwrap();
        for field in Field::value_variants() {
            let key = field.key();
            let value = key.split('.').try_fold(&listed, |value, name| value.get(name));
            let is_sum = matches!(field, Field::Traffic | Field::Rate);
            assert_eq!(value.is_some(), !is_sum, "{key}");
            assert_eq!(Field::from_str(key, false).as_ref(), Ok(field), "it can be asked for by this name");
            assert!(
                include_str!("../../../docs/json-schema.md").contains(key.rsplit('.').next().unwrap()),
                "{key}"
            );
        }
    }

    #[test]
    fn cells() {
        let entry = Entry { session: samples::summary(7), rate: Some(Rate { rx: 1_500_000, tx: 20 }) };
        for (field, name, cell, raw) in [
            (Field::Id, "id", "7", "7"),
            (Field::User, "user", "alice", "alice"),
            (Field::Uptime, "uptime", "1h02m", "3725"),
            (Field::Traffic, "traffic", "4.7 MiB", "5001536"),
            (Field::RxPackets, "rx-packets", "12", "12"),
            (Field::RxRate, "rx-rate", "1.5 Mbit/s", "1500000"),
            (Field::Rate, "rate", "1.5 Mbit/s", "1500020"),
            (Field::TxRate, "tx-rate", "20 bit/s", "20"),
            (Field::Service, "service", "-", ""),
        ] {
            assert_eq!((field.name().as_str(), field.cell(&entry).as_str()), (name, cell));
            assert_eq!(field.raw(&entry), raw);
        }
        let entry = Entry { rate: None, ..entry };
        assert_eq!((Field::Rate.cell(&entry).as_str(), Field::Rate.raw(&entry).as_str()), ("-", ""));
    }
}
