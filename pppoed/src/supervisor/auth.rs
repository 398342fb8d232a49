//! The verdict on a peer's proof: here, and never in a worker.

use std::fmt;
use std::time::Instant;

use ppp_ipc::control::{AddressSource, EventName, Phase};
use ppp_ipc::name::Name;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{Network, Verdict};
use ppp_proto::auth::chap::{self, MD5_LEN};
use ppp_session::leases::{AddressPair, Lease};
use ppp_session::session::Event;
use ppp_wire::MacAddr;
use ppp_wire::name::NameText;
use pppoed_config::options::SessionOptions;
use pppoed_config::pool::{AssignError, Claim};
use pppoed_config::secrets::{Addresses, FixedAddresses};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::challenge::Challenge;
use super::comparison::Comparison;
use super::hook_auth::{AddressRange, Denial, Ruling};
use super::session::{Authentication, Session, Token, User};
use super::session_log::about;
use super::settings::{idle_ms, max_connect};
use super::{Supervisor, Work};
use crate::message::{AUTH_REFUSED, SESSION_UNAUTHENTICATED};
use crate::text::printable_name;
use crate::turns;

/// What a peer is told, whatever the reason for a refusal: it is not to learn which part was wrong.
const REJECT_MESSAGE: &[u8] = b"Access denied";
/// Why a proof counts as refused that may have been right.
const OVERTAKEN: &str = "the peer began anew before the verdict on its proof";
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
    pub(super) fn fits(&self, secret: &[u8]) -> bool {
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
    /// Whose it was, should the session be gone.
    claimant: Claimant,
    pub(super) name: Vec<u8>,
    pub(super) result: Result<Accepted, String>,
    /// What the peer is told if it is refused, if a hook knows better than we.
    pub(super) message: Option<Vec<u8>>,
}

/// What is left of a session for the line about a proof that came too late.
#[derive(Clone, Debug)]
struct Claimant {
    interface: String,
    peer_mac: MacAddr,
    is_quiet: bool,
}

/// A user whose proof was right.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) origin: String,
    /// The addresses that the user may have; any, if a hook vouches for it.
    pub(super) addresses: Option<Addresses>,
    pub(super) fixed: FixedAddresses,
    pub(super) options: SessionOptions,
    /// The addresses that a hook gives.
    pub(super) range: Option<AddressRange>,
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
    /// Compares a proof with the secrets, beside the event loop.
    pub(super) fn verify(&mut self, token: Token, number: u32, attempt: Attempt, ruling: Ruling) {
        let Some(session) = self.table.get_mut(token) else { return };
        let station = (session.access, session.peer_mac);
        let comparison = Comparison {
            files: self.secrets.clone(),
            hashing: self.hashing.clone(),
            waits: (&self.reloads.current.config.limits).into(),
            unit: session.unit.number,
            station,
            standing: self.known_stations.standing(station),
        };
        let claimant = Claimant::of(session);
        self.conclude(token, async move {
            let name = attempt.name.clone();
            let result = comparison.run(attempt, ruling).await;
            Outcome { number, claimant, name, result, message: None }
        });
    }

    /// Handles the outcome once there is one: at once, unless it is a refusal. Whoever guesses waits, whatever was wrong;
    /// nobody else does.
    fn conclude(&self, token: Token, outcome: impl Future<Output = Outcome> + 'static) {
        let work = self.work.clone();
        let delay = self.reloads.current.config.limits.refusal_delay;
        turns::spawn("authentication", async move {
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
        let Some(claimant) = self.table.get(token).map(Claimant::of) else { return };
        self.conclude(
            token,
            std::future::ready(Outcome { number, claimant, name, result: Err(why), message }),
        );
    }

    pub(super) fn handle_verified(&mut self, token: Token, outcome: Outcome, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return outcome.log_after_the_session() };
        let is_current =
            matches!(session.authentication, Authentication::Verifying) && session.proofs == outcome.number;
        if session.machine.is_ending() || !is_current {
            return self.handle_overtaken(token, outcome, now);
        }
        let outcome = self.deny_by_console(outcome);
        let Some(outcome) = self.replace_of_station(token, outcome, now) else { return };
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
                if session.machine.phase() == Phase::Authenticate {
                    session.note(format!("authenticated as {}", printable_name(&outcome.name)), now);
                    // A link that is negotiated anew is no news.
                    if session.machine.opened().is_none() {
                        let (peer, was_quiet) = (session.peer_mac, session.is_quiet);
                        session.tell(self.repeated_dials.logged_in(peer, &outcome.name, was_quiet, now));
                        session.log_authenticated();
                    }
                    self.events.session(EventName::AuthAccepted, session);
                }
                self.advance_any(token, Event::Admitted, now);
                self.send_verdict(token, verdict);
                self.hook_auth_up(token, now);
                self.proven(token, now);
            }
            Err(why) => {
                session.refusals += 1;
                let is_last = session.refusals >= session.settings.link.auth_max_tries;
                self.tell_refusal(token, name, &why, now);
                let message = outcome.message.unwrap_or_else(|| REJECT_MESSAGE.to_vec());
                self.send_verdict(token, Verdict::Reject { message });
                if is_last {
                    // The worker ends the session by itself, unless it belongs to a peer that wants to guess on.
                    self.terminate(token, EndReason::AuthFailed, &why, now);
                }
            }
        }
    }

    fn tell_refusal(&mut self, token: Token, name: Name, why: &str, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        session.note(format!("refused as {}", printable_name(name.as_bytes())), now);
        self.events.auth_refused(session, name.clone(), why);
        session.refused_as = Some(name);
        session.log_refused(why);
    }

    /// LCP began anew while a proof was being compared: that was a try, whatever comes of it. So nobody gains tries, or time,
    /// by not waiting for a verdict.
    pub(super) fn count_overtaken(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        session.authentication = Authentication::Idle;
        session.refusals += 1;
        // Once it may happen to an honest peer, of whose first packets one was lost, even if there is but one try.
        if session.refusals > session.settings.link.auth_max_tries {
            self.terminate(token, EndReason::AuthFailed, OVERTAKEN, now);
        }
    }

    /// A verdict that nobody waits for any more, because LCP began anew, or the session ended. It is told as any other refusal,
    /// and as late, right or wrong: otherwise the time until the link goes on would tell which it was.
    fn handle_overtaken(&mut self, token: Token, outcome: Outcome, now: Instant) {
        match &outcome.result {
            Ok(_) => {
                self.conclude(token, std::future::ready(outcome.refused(OVERTAKEN)));
            }
            Err(why) => {
                self.tell_refusal(token, Name::new(outcome.name.as_slice()), why, now);
                if self.table.get(token).is_some_and(|session| !session.machine.is_ending()) {
                    // The link waits for it, and will not heed it.
                    self.send_verdict(token, Verdict::Reject { message: REJECT_MESSAGE.to_vec() });
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
                    self.pool.assign_within(session.slot.number, first, last, &claim)
                }
                None => self.pool.assign(session.slot.number, &claim),
            };
            match assigned {
                Ok(lease) => {
                    session.address_source = match source {
                        AddressSource::Pool if own == Some(lease.remote) => AddressSource::User,
                        source => source,
                    };
                    session.lease = Some(lease);
                }
                Err(error) => {
                    let holder = self.holder(&error);
                    return Err(match holder.filter(|holder| holder.machine.is_ending()) {
                        Some(holder) => NotAdmitted::After(holder.token),
                        None => self.explain(&error, &accepted.origin).into(),
                    });
                }
            }
        }
        let own = accepted.options.clone().over(&session.settings.session_options);
        session.own_rates = Some(own.rates());
        let options = of_console.options.over(&own);
        session.machine.set_max_connect(max_connect(&options));
        self.deadlines.set(token, session.machine.deadline());
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
    pub(super) fn lease_without_proof(
        &mut self,
        pool: &str,
        slot: u32,
    ) -> Result<Lease<AddressPair>, String> {
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
        session.note("no authentication required", now);
        about!(info, SESSION_UNAUTHENTICATED, session);
        self.advance_any(token, Event::Admitted, now);
    }
}

impl Claimant {
    fn of(session: &Session) -> Self {
        Self {
            interface: session.access_name.clone(),
            peer_mac: session.peer_mac,
            is_quiet: session.is_quiet,
        }
    }
}

impl Outcome {
    /// Refused after all.
    pub(super) fn refused(self, why: &str) -> Self {
        Self { result: Err(why.to_owned()), ..self }
    }

    /// The session is gone: what is left is the line about a wrong proof.
    fn log_after_the_session(&self) {
        let Err(reason) = &self.result else { return };
        let (username, Claimant { interface, peer_mac, is_quiet }) =
            (printable_name(&self.name), &self.claimant);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    name: AUTH_REFUSED.name,
                    interface, %peer_mac, username, reason, "{}", AUTH_REFUSED.words
                )
            };
        }
        match is_quiet {
            true => line!(debug),
            false => line!(warn),
        }
    }
}

/// The verdict for a session that has its user and lease.
fn grant(session: &mut Session) -> Option<Verdict> {
    let (user, lease) = (session.user.as_ref()?, session.lease.as_deref()?);
    let network = network(lease, &user.options);
    let idle_ms = idle_ms(&user.options);
    session.network = Some(network);
    Some(Verdict::Accept { message: ACCEPT_MESSAGE.to_vec(), network, idle_ms })
}

/// What IPCP may give the peer.
pub(super) fn network(lease: &AddressPair, options: &SessionOptions) -> Network {
    let servers = options.name_servers();
    Network { local: lease.local, remote: lease.remote, dns: servers.dns, nbns: servers.nbns }
}

#[cfg(test)]
mod tests;
