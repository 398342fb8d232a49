//! Judging a Configure-Request of the peer.

use ppp_wire::cp::CpPacket;

use super::{Discard, Judgement, NegotiationFailure, OptionSet};

/// The packet that answers a Configure-Request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Ack,
    Nak,
    Reject,
}

/// Kinds of options that a request holds.
#[derive(Debug, Default)]
pub(crate) struct KindSet([u64; 4]);

impl KindSet {
    /// Adds a kind; false if it was there.
    fn insert(&mut self, kind: u8) -> bool {
        let (word, bit) = Self::place(kind);
        let Some(word) = self.0.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether the request has an option of this kind.
    pub(crate) fn contains(&self, kind: u8) -> bool {
        let (word, bit) = Self::place(kind);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    fn place(kind: u8) -> (usize, u64) {
        (usize::from(kind / 64), 1 << (kind % 64))
    }
}

/// Room for the options of an answer, used again for each request.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Values that we suggest.
    nak: Vec<u8>,
    /// Options that are not negotiable, as the peer sent them.
    reject: Vec<u8>,
    reply: Option<Reply>,
}

impl Scratch {
    /// Judges every option of `packet`, and remembers the options of the answer.
    ///
    /// Options that are not negotiable are refused before others are bargained over (RFC 1661 §5.4). An option that
    /// comes twice is refused the second time: each is negotiated once per request (RFC 1661 §6). Without
    /// `naks_allowed`, what would be NAKed is rejected and nothing is appended (RFC 1661 §4.6, Max-Failure).
    pub(crate) fn judge<O: OptionSet>(
        &mut self,
        options: &mut O,
        packet: CpPacket<'_>,
        naks_allowed: bool,
    ) -> Result<Result<Reply, NegotiationFailure>, Discard> {
        self.nak.clear();
        self.reject.clear();
        // All or nothing: a packet whose third option is malformed must not leave traces of the first two.
        packet.options().try_for_each(|option| option.map(drop))?;

        options.begin_peer_request();
        let mut seen = KindSet::default();
        for option in packet.options() {
            let option = option?;
            if !seen.insert(option.kind) {
                option.emit(&mut self.reject)?;
                continue;
            }
            match options.judge(option, &mut self.nak)? {
                Judgement::Ack => {}
                Judgement::Nak if naks_allowed => {}
                Judgement::Nak | Judgement::Reject => option.emit(&mut self.reject)?,
                Judgement::Fail(failure) => return Ok(Err(failure)),
            }
        }
        if naks_allowed {
            options.append_missing(&seen, &mut self.nak)?;
        } else {
            self.nak.clear();
        }

        let reply = match (self.reject.is_empty(), self.nak.is_empty()) {
            (false, _) => Reply::Reject,
            (true, false) => Reply::Nak,
            (true, true) => Reply::Ack,
        };
        self.reply = Some(reply);
        Ok(Ok(reply))
    }

    /// The options of the last answer, if it was a Nak or Reject.
    pub(crate) fn options(&self) -> &[u8] {
        match self.reply {
            Some(Reply::Nak) => &self.nak,
            Some(Reply::Reject) => &self.reject,
            Some(Reply::Ack) | None => &[],
        }
    }
}
