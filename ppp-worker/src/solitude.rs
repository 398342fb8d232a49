//! A session without `pppoed`: what it does meanwhile, and what it shows the next one.
//!
//! Data flows, echo is answered and asked for, and every deadline of the link holds. What only `pppoed` can decide
//! waits for the next one, within those deadlines. When the session ends meanwhile, the peer gets its PADT from here,
//! and the worker waits to tell the next `pppoed` why, and how much went through.

use std::os::fd::AsRawFd;
use std::time::Instant;

use ppp_ipc::adoption::{Claim, Returning};
use ppp_ipc::worker::{self as ipc, EndReason, Ended, FromWorker, VERSION};
use ppp_proto::link::Verdict;

use crate::convert;
use crate::grant::Family;
use crate::lifeline::News;
use crate::session::{Session, SessionError};

/// What the link asked and `pppoed` has not answered.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    /// A challenge is wanted.
    pub(crate) challenge: bool,
    /// A proof waits for its verdict.
    pub(crate) proof: Option<ipc::Proof>,
    /// The proof was given before LCP was opened anew: its verdict will decide nothing.
    pub(crate) is_overtaken: bool,
}

impl Session {
    /// The session as it stands.
    fn claim(&self, ended: Option<&Ended>) -> Option<Claim> {
        let status = self.link.status();
        Some(Claim::Session(Box::new(Returning {
            version: VERSION,
            ticket: self.lifeline.ticket()?.clone(),
            counters: self.counters_file.as_raw_fd(),
            lcp: status.lcp.as_ref().map(convert::lcp_report),
            authenticated: self.authenticated,
            network: status.ipcp.map(convert::network_report),
            ipv6: status.ipv6cp.map(convert::ipv6_report),
            ended: ended.cloned(),
        })))
    }

    /// Handles what comes, or does not, while there is no `pppoed`, and that it is lost.
    pub(crate) fn handle_news(&mut self, news: News, now: Instant) -> Result<(), SessionError> {
        match news {
            News::Message(message) => return self.handle_message(message, now),
            News::Lost => self.answer_overtaken(now)?,
            News::MayClaim => {
                if let Some(claim) = self.claim(None) {
                    self.lifeline.claim(&claim, now);
                }
            }
            News::Adopted { farewell } => {
                self.farewell = farewell;
                self.ask_again()?;
            }
        }
        Ok(())
    }

    /// The proof that nobody will answer any more was overtaken: the link only waits to be told so.
    pub(crate) fn answer_overtaken(&mut self, now: Instant) -> Result<(), SessionError> {
        if self.unanswered.is_overtaken && self.unanswered.proof.take().is_some() {
            self.unanswered.is_overtaken = false;
            self.link
                .verdict(Verdict::Reject { message: Vec::new() }, now)
                .map_err(|_| SessionError::Protocol("a verdict that nobody asked for"))?;
        }
        Ok(())
    }

    /// The last `pppoed` left these without an answer.
    fn ask_again(&mut self) -> Result<(), SessionError> {
        if self.unanswered.challenge {
            self.lifeline.send(FromWorker::ChallengeNeeded)?;
        }
        if let Some(proof) = self.unanswered.proof.clone() {
            self.lifeline.send(FromWorker::Authenticate(proof))?;
        }
        Ok(())
    }

    /// Nobody has come for the session.
    pub(crate) fn give_up_waiting(&mut self, now: Instant) {
        if self.lifeline.orphan_deadline().is_some_and(|deadline| deadline <= now) {
            self.close(EndReason::Shutdown, now);
        }
    }

    /// Tells the peer that the session is over (RFC 2516 §5.5), where no `pppoed` does.
    pub(crate) fn send_padt(&self) {
        self.relay.send_padt();
    }

    /// The session is over and `pppoed` is not there: waits for the next one to tell it, as long as a session would.
    pub(crate) fn report_to_next(&mut self, ended: &Ended) -> Result<(), SessionError> {
        Family::ALL.into_iter().for_each(|family| self.relay.revoke(family));
        loop {
            let now = Instant::now();
            while let Some(news) = self.lifeline.next(now)? {
                match (news, self.claim(Some(ended))) {
                    (News::MayClaim, Some(claim)) => self.lifeline.claim(&claim, now),
                    // It knows by the claim, or by what was said after that.
                    (News::Adopted { .. }, _) => {
                        self.lifeline.flush_before_exit();
                        return Ok(());
                    }
                    _ => {}
                }
            }
            self.lifeline.flush()?;
            let Some(deadline) = self.lifeline.orphan_deadline().filter(|deadline| *deadline > now) else {
                return Ok(());
            };
            if self.wait_for_lifeline(deadline)? {
                self.lifeline.receive()?;
            }
        }
    }
}
