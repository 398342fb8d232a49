//! The verdict on a peer's proof: here, and never in a worker.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ppp_ipc::control::{AddressSource, EventName, Phase};
use ppp_ipc::name::Name;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{Network, Verdict};
use ppp_proto::auth::chap::{self, MD5_LEN};
use ppp_wire::name::NameText;
use subtle::ConstantTimeEq;
use tracing::warn;
use zeroize::Zeroizing;

use super::challenge::Challenge;
use super::hook_auth::{AddressRange, Decider, Denial, Ruling};
use super::session::{Authentication, Session, Token, User};
use super::session_log::about;
use super::settings::idle_ms;
use super::worker::printable_name;
use super::{Supervisor, Work};
use crate::inet::SystemNames;
use crate::message::{SESSION_AUTHENTICATED, SESSION_UNAUTHENTICATED};
use crate::options::SessionOptions;
use crate::pool::{AssignError, Claim, Lease};
use crate::secrets::{Addresses, FixedAddresses, MAX_NAME, Protocol, Refusal, Secrets};

/// What a peer is told, whatever the reason for a refusal: it is not to learn which part was wrong.
const REJECT_MESSAGE: &[u8] = b"Access denied";
/// What a peer is told when it is let in.
const ACCEPT_MESSAGE: &[u8] = b"Access granted";

/// A proof to be compared with the secrets.
pub(super) struct Attempt {
    pub(super) name: Vec<u8>,
    pub(super) proof: AttemptProof,
}

/// Nothing of it may be logged.
impl fmt::Debug for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Attempt")
            .field("name", &NameText(&self.name).to_string())
            .finish_non_exhaustive()
    }
}

pub(super) enum AttemptProof {
    Pap { password: Zeroizing<Vec<u8>> },
    Chap { response: [u8; MD5_LEN], challenge: Challenge },
}

impl Attempt {
    /// `None` when PAP has no room for a field that long (RFC 1334 §2.2.1).
    pub(super) fn pap(name: &[u8], password: &[u8]) -> Option<Self> {
        let has_room = |field: &[u8]| u8::try_from(field.len()).is_ok();
        let password = Zeroizing::new(has_room(password).then(|| password.to_vec())?);
        has_room(name).then(|| Self { name: name.to_vec(), proof: AttemptProof::Pap { password } })
    }

    /// Whether it proves that the peer knows this secret. Nothing proves that of the empty one.
    fn fits(&self, secret: &[u8]) -> bool {
        match &self.proof {
            _ if secret.is_empty() => false,
            AttemptProof::Pap { password } => secret.ct_eq(password).into(),
            AttemptProof::Chap { response, challenge } => {
                chap::verify(challenge.identifier, secret, &challenge.value, response)
            }
        }
    }

    /// `None` when the response has a length that no response has.
    pub(super) fn chap(name: &[u8], response: &[u8], challenge: Challenge) -> Option<Self> {
        let response = response.try_into().ok()?;
        Some(Self { name: name.to_vec(), proof: AttemptProof::Chap { response, challenge } })
    }
}

/// What came of comparing a proof with the secrets.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Which proof of the session it was.
    number: u32,
    pub(super) name: Vec<u8>,
    pub(super) result: Result<Accepted, String>,
    /// What the peer is told if it is refused, if a hook knows better than we.
    pub(super) message: Option<Vec<u8>>,
}

/// A user whose proof was right.
#[derive(Debug)]
pub(super) struct Accepted {
    origin: String,
    /// The addresses that the user may have; any, if a hook vouches for it.
    addresses: Option<Addresses>,
    fixed: FixedAddresses,
    options: SessionOptions,
    /// The addresses that a hook gives.
    range: Option<AddressRange>,
}

/// Why a user whose proof was right is not let in.
enum NotAdmitted {
    Refused(String),
    /// Its address is still that of a session which is ending.
    After(Token),
}

impl From<String> for NotAdmitted {
    fn from(why: String) -> Self {
        Self::Refused(why)
    }
}

impl Supervisor {
    /// Compares a proof with the secrets, beside the event loop: files are read, names are looked up, and hashed
    /// passwords take their time.
    pub(super) fn verify(&mut self, token: Token, number: u32, attempt: Attempt, ruling: Ruling) {
        let Some(session) = self.table.get_mut(token) else { return };
        let unit = session.unit;
        let secrets = self.secrets.clone();
        self.conclude(token, async move {
            let name = attempt.name.clone();
            let comparing = tokio::task::spawn_blocking(move || compare(&secrets, &attempt, ruling, unit));
            let result =
                comparing.await.unwrap_or_else(|error| Err(format!("the comparison failed: {error}")));
            Outcome { number, name, result, message: None }
        });
    }

    /// Handles the outcome once there is one: at once, unless it is a refusal. Whoever guesses waits, whatever was wrong;
    /// nobody else does.
    fn conclude(&self, token: Token, outcome: impl Future<Output = Outcome> + 'static) {
        let work = self.work.clone();
        let delay = self.reloads.current.config.limits.refusal_delay;
        tokio::task::spawn_local(async move {
            let outcome = outcome.await;
            if outcome.result.is_err() {
                tokio::time::sleep(delay).await;
            }
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::Verified(token, Box::new(outcome))).await;
        });
    }

    /// A hook does not let the peer in.
    pub(super) fn deny_by_hook(&self, token: Token, number: u32, name: Vec<u8>, denial: Denial) {
        let Denial { why, message } = denial;
        self.conclude(token, std::future::ready(Outcome { number, name, result: Err(why), message }));
    }

    pub(super) fn handle_verified(&mut self, token: Token, outcome: Outcome, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        if session.end.is_some() {
            return;
        }
        let current =
            matches!(session.authentication, Authentication::Verifying) && session.proofs == outcome.number;
        if !current {
            // LCP began anew meanwhile. The link waits for this verdict all the same, and will not heed it.
            return self.send_verdict(token, Verdict::Reject { message: REJECT_MESSAGE.to_vec() });
        }
        let outcome = self.deny_by_console(outcome);
        let Some(outcome) = self.make_room_for_user(token, outcome) else { return };
        let name = Name::new(outcome.name.as_slice());
        let admitted = match &outcome.result {
            Ok(accepted) => self.admit(token, &outcome.name, accepted),
            Err(why) => Err(NotAdmitted::Refused(why.clone())),
        };
        let admitted = match admitted {
            Ok(verdict) => Ok(verdict),
            Err(NotAdmitted::After(holder)) => return self.wait_for(holder, token, outcome),
            Err(NotAdmitted::Refused(why)) => Err(why),
        };
        let Some(session) = self.table.get_mut(token) else { return };
        session.authentication = Authentication::Idle;
        session.hooks.claimed_name = None;
        match admitted {
            Ok(verdict) => {
                session.refusals = 0;
                if session.phase == Phase::Authenticate {
                    session.phase = Phase::Network;
                    session.note(format!("authenticated as {}", printable_name(&outcome.name)), now);
                    about!(info, SESSION_AUTHENTICATED, session);
                    self.events.session(EventName::AuthAccepted, session);
                }
                self.send_verdict(token, verdict);
                self.hook_auth_up(token, now);
            }
            Err(why) => {
                session.refusals += 1;
                let is_last = session.refusals >= session.settings.link.auth_max_tries;
                session.note(format!("refused as {}", printable_name(&outcome.name)), now);
                self.events.auth_refused(session, name.clone(), &why);
                session.refused_as = Some(name);
                session.log_refused(&why);
                let message = outcome.message.unwrap_or_else(|| REJECT_MESSAGE.to_vec());
                self.send_verdict(token, Verdict::Reject { message });
                if is_last {
                    // The worker ends the session by itself, unless it belongs to a peer that wants to guess on.
                    self.terminate(token, EndReason::AuthFailed, &why, now);
                }
            }
        }
    }

    /// A user whom consoles deny is refused, whatever his proof.
    fn deny_by_console(&self, mut outcome: Outcome) -> Outcome {
        if outcome.result.is_ok()
            && let Some(why) = self.policy.current.denial(&outcome.name)
        {
            outcome.result = Err(why);
        }
        outcome
    }

    /// Finds an address for a user whose proof was right.
    fn admit(&mut self, token: Token, name: &[u8], accepted: &Accepted) -> Result<Verdict, NotAdmitted> {
        let session = self.table.get_mut(token).ok_or_else(|| "the session is over".to_owned())?;
        let before = session.user.as_ref().map(|user| user.name.as_slice());
        if before.is_some_and(|before| before != name) {
            return Err("a session cannot change its user".to_owned().into());
        }
        let of_console = self.policy.current.user(name);
        if session.lease.is_none() {
            let fixed = accepted.fixed.clone().with_console(self.policy.addresses.clone());
            let claim = Claim {
                pool: &session.settings.pool,
                user: Some(name),
                addresses: accepted.addresses.as_ref(),
                fixed: &fixed,
            };
            let range = of_console.address.map(|address| AddressRange { first: address, last: address });
            let source = match (range, accepted.range) {
                (Some(_), _) => AddressSource::Console,
                (None, Some(_)) => AddressSource::Hook,
                (None, None) => AddressSource::Pool,
            };
            let own = accepted.addresses.as_ref().and_then(Addresses::suggested);
            let assigned = match range.or(accepted.range) {
                Some(AddressRange { first, last }) => {
                    self.pool.assign_within(session.slot, first, last, &claim)
                }
                None => self.pool.assign(session.slot, &claim),
            };
            match assigned {
                Ok(lease) => {
                    session.lease = Some(lease);
                    session.address_source = match source {
                        AddressSource::Pool if own == Some(lease.remote) => AddressSource::User,
                        source => source,
                    };
                }
                Err(error) => {
                    let holder = self.holder(&error);
                    return Err(match holder.filter(|holder| holder.end.is_some()) {
                        Some(holder) => NotAdmitted::After(holder.token),
                        None => self.explain(&error, &accepted.origin).into(),
                    });
                }
            }
        }
        let own = accepted.options.clone().over(&session.settings.session_options);
        session.own_rates = Some(own.rates());
        let options = of_console.options.over(&own);
        session.user = Some(User { name: name.to_vec(), origin: accepted.origin.clone(), options });
        grant(session).ok_or_else(|| "the session has no address".to_owned().into())
    }

    /// The session that has the address which was wanted.
    fn holder(&self, error: &AssignError) -> Option<&Session> {
        match error {
            AssignError::InUse { slot, .. } => {
                self.slots.session_id(*slot).and_then(|id| self.table.by_id(id))
            }
            _ => None,
        }
    }

    /// Why a user gets no address, with the line of the secret and, where somebody has the address, who.
    pub(super) fn explain(&self, error: &AssignError, origin: &str) -> String {
        match (error, self.holder(error)) {
            (AssignError::InUse { address, .. }, Some(holder)) => {
                format!(
                    "{origin}: address {address} is in use by session {} of {}",
                    holder.id, holder.peer_mac
                )
            }
            // It names the line itself.
            (AssignError::Refused(_), _) => error.to_string(),
            _ => format!("{origin}: {error}"),
        }
    }

    /// Gives an address to a peer that need not prove who it is.
    pub(super) fn lease_without_proof(&mut self, pool: &str, slot: u32) -> Result<Lease, String> {
        let fixed = FixedAddresses::default().with_console(self.policy.addresses.clone());
        let claim = Claim { pool, user: None, addresses: None, fixed: &fixed };
        self.pool.assign(slot, &claim).map_err(|error| error.to_string())
    }

    /// LCP opened and nobody has to prove anything: IPCP begins by itself.
    pub(super) fn admit_without_proof(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        if session.network.is_none() {
            return self.kill(token, EndReason::SystemError, "no address was set aside");
        }
        session.phase = Phase::Network;
        session.note("no authentication required", now);
        about!(info, SESSION_UNAUTHENTICATED, session);
    }
}

/// The verdict for a session that has its user and lease.
fn grant(session: &mut Session) -> Option<Verdict> {
    let (user, lease) = (session.user.as_ref()?, session.lease?);
    let network = network(lease, &user.options);
    let idle_ms = idle_ms(&user.options);
    session.network = Some(network);
    Some(Verdict::Accept { message: ACCEPT_MESSAGE.to_vec(), network, idle_ms })
}

/// What IPCP may give the peer.
pub(super) fn network(lease: Lease, options: &SessionOptions) -> Network {
    let servers = options.name_servers();
    Network { local: lease.local, remote: lease.remote, dns: servers.dns, nbns: servers.nbns }
}

/// Runs where it may block.
fn compare(
    secrets: &Mutex<Secrets>,
    attempt: &Attempt,
    ruling: Ruling,
    unit: u32,
) -> Result<Accepted, String> {
    let Ruling { decider, addresses: range, options } = ruling;
    // Whoever decides: longer names are nobody's, and would not fit into what is told of sessions.
    if attempt.name.len() > MAX_NAME {
        return Err(Refusal::NameTooLong { length: attempt.name.len() }.to_string());
    }
    let origin = match &decider {
        Decider::Files => {
            let accepted = compare_with_files(secrets, attempt, unit)?;
            return Ok(Accepted { options: options.over(&accepted.options), range, ..accepted });
        }
        Decider::Secret { file, secret } if !attempt.fits(&secret.0) => {
            return Err(format!("the proof does not fit the secret of hook {file}"));
        }
        Decider::Secret { file, .. } | Decider::Nobody { file } => format!("hook {file}"),
    };
    let mut secrets = secrets.lock().unwrap_or_else(PoisonError::into_inner);
    secrets.refuse_denied(&attempt.name).map_err(|refusal| refusal.to_string())?;
    // So that the user gets nobody else's address; files that cannot be read keep none.
    for protocol in [Protocol::Chap, Protocol::Pap] {
        let _ = secrets.refresh(protocol);
    }
    let fixed = secrets.fixed_addresses(&SystemNames);
    Ok(Accepted { origin, addresses: None, fixed, options, range })
}

fn compare_with_files(secrets: &Mutex<Secrets>, attempt: &Attempt, unit: u32) -> Result<Accepted, String> {
    let mut secrets = secrets.lock().unwrap_or_else(PoisonError::into_inner);
    let (result, notices) = match &attempt.proof {
        AttemptProof::Pap { password } => secrets.pap(&attempt.name, password),
        AttemptProof::Chap { response, challenge } => secrets.chap(&attempt.name, |secret| {
            chap::verify(challenge.identifier, secret, &challenge.value, response)
        }),
    };
    let fixed = secrets.fixed_addresses(&SystemNames);
    drop(secrets);
    for notice in notices {
        warn!("{notice}");
    }
    let grant = result.map_err(|refusal| refusal.to_string())?;
    let (addresses, notices) = grant.addresses.resolve(&attempt.name, unit, &SystemNames);
    for notice in notices {
        warn!("{notice}");
    }
    Ok(Accepted {
        origin: grant.place.to_string(),
        addresses: Some(addresses),
        fixed,
        options: grant.options,
        range: None,
    })
}

#[cfg(test)]
mod tests;
