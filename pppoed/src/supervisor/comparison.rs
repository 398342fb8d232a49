//! Comparing a proof with the secrets: beside the event loop, and each step where it holds up nobody but its own kind.
//!
//! The files are asked on their thread ([`SecretFiles`]); what they give leaves it. A hashed password is compared in its turn
//! ([`Hashing`]). Names of hosts are waited for by those who need them ([`crate::names`]).

use std::time::Duration;

use ppp_proto::auth::chap;
use pppoed_config::config::Limits;
use pppoed_config::secrets::{Candidate, MAX_NAME, Protocol, Refusal, Secrets};

use super::auth::{Accepted, Attempt, AttemptProof};
use super::hashing::{Hashing, Standing, Station};
use super::hook_auth::{Decider, Ruling};
use super::secret_files::SecretFiles;
use crate::names::HostNames;

/// What it takes to compare one proof.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) files: SecretFiles,
    pub(super) hashing: Hashing,
    pub(super) waits: Waits,
    /// Of the session's interface: addresses may depend on it.
    pub(super) unit: u32,
    pub(super) station: Station,
    pub(super) standing: Standing,
}

/// How long a login may wait for what others have a share in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waits {
    /// For a hashed password to be compared (`--hash-wait`).
    pub(super) hash: Duration,
    /// For a host name in the secrets files to be looked up for the first time (`--name-wait`).
    pub(super) name: Duration,
}

impl From<&Limits> for Waits {
    fn from(limits: &Limits) -> Self {
        Self { hash: limits.hash_wait, name: limits.name_wait }
    }
}

impl Comparison {
    /// Compares, and finds out which addresses the user may have.
    ///
    /// # Errors
    /// Why the peer is not let in, for the log.
    pub(super) async fn run(self, attempt: Attempt, ruling: Ruling) -> Result<Accepted, String> {
        let Ruling { decider, addresses: range, options } = ruling;
        // Whoever decides: longer names are nobody's, and would not fit into what is told of sessions.
        if attempt.name.len() > MAX_NAME {
            return Err(Refusal::NameTooLong { length: attempt.name.len() }.to_string());
        }
        match decider {
            Decider::Files => {
                let accepted = self.ask_files(attempt).await?;
                Ok(Accepted { options: options.over(&accepted.options), range, ..accepted })
            }
            Decider::Secret { file, secret } if !attempt.fits(&secret.0) => {
                Err(format!("the proof does not fit the secret of hook {file}"))
            }
            Decider::Secret { file, .. } | Decider::Nobody { file } => {
                let name = attempt.name;
                let asked = self.with_names(move |secrets, names| {
                    secrets.refuse_denied(&name).map_err(|refusal| refusal.to_string())?;
                    // So that the user gets nobody else's address; files that cannot be read keep none.
                    for protocol in [Protocol::Chap, Protocol::Pap] {
                        let _ = secrets.refresh(protocol);
                    }
                    Ok::<_, String>(secrets.fixed_addresses(names))
                });
                let fixed = asked.await??;
                let origin = format!("hook {file}");
                Ok(Accepted { origin, addresses: None, fixed, options, range })
            }
        }
    }

    async fn ask_files(&self, attempt: Attempt) -> Result<Accepted, String> {
        let Attempt { name, proof } = attempt;
        let protocol = match &proof {
            AttemptProof::Pap { .. } => Protocol::Pap,
            AttemptProof::Chap { .. } => Protocol::Chap,
        };
        let wanted = name.clone();
        let found = self.files.with(move |secrets, _| secrets.find(protocol, &wanted)).await;
        let (found, notices) = found.ok_or_else(cut_off)?;
        self.files.tell(&notices);
        let candidate = found.map_err(|refusal| refusal.to_string())?;
        let is_slow = protocol == Protocol::Pap && candidate.is_hashed();
        let compare = move || fits(&candidate, &proof).map(|()| candidate.into_grant());
        let compared = match is_slow {
            true => {
                let (station, wait) = (Some(self.station), self.waits.hash);
                let turn = self.hashing.compare(&name, station, self.standing, wait, compare);
                turn.await.map_err(|busy| busy.to_string())?
            }
            false => compare(),
        };
        let grant = compared.map_err(|refusal| refusal.to_string())?;
        let (addresses, unit) = (grant.addresses, self.unit);
        let asked = self.with_names(move |secrets, names| {
            (secrets.fixed_addresses(names), addresses.resolve(&name, unit, names))
        });
        let (fixed, (addresses, notices)) = asked.await?;
        self.files.tell_of_login(&notices);
        Ok(Accepted {
            origin: grant.place.to_string(),
            addresses: Some(addresses),
            fixed,
            options: grant.options,
            range: None,
        })
    }

    /// Asks the files something that names of hosts are part of, once more if there were some that nobody knew yet.
    async fn with_names<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Secrets, &HostNames) -> T + Clone + Send + 'static,
    ) -> Result<T, String> {
        let answer = self.files.with(work.clone()).await.ok_or_else(cut_off)?;
        let names = &self.files.names;
        if !names.has_unanswered() {
            return Ok(answer);
        }
        names.settled(self.waits.name).await;
        self.files.with(work).await.ok_or_else(cut_off)
    }
}

fn fits(candidate: &Candidate, proof: &AttemptProof) -> Result<(), Refusal> {
    match proof {
        AttemptProof::Pap { password } => candidate.verify_pap(password),
        AttemptProof::Chap { response, challenge } => candidate
            .verify_chap(|secret| chap::verify(challenge.identifier, secret, &challenge.value, response)),
    }
}

fn cut_off() -> String {
    "the comparison was cut off".to_owned()
}
