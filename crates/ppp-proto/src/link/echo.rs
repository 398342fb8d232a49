//! Keep-alive by Echo-Requests (RFC 1661 §5.8).

use std::time::Instant;

use super::config::EchoConfig;

/// What to do when the echo timer expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EchoTick {
    /// The peer was heard lately: look again at this time.
    Wait(Instant),
    /// Send an Echo-Request, and look again at this time.
    Send(Instant),
    /// Too many went unanswered.
    Lost,
}

/// The keep-alive of one link.
#[derive(Debug)]
pub(super) struct Echo {
    config: Option<EchoConfig>,
    /// Echo-Requests since the last sign of life.
    unanswered: u32,
    /// When a packet of the peer came last.
    last_heard: Option<Instant>,
}

impl Echo {
    pub(super) fn new(config: Option<EchoConfig>) -> Self {
        let config = config.filter(|config| !config.interval.is_zero());
        Self { config, unanswered: 0, last_heard: None }
    }

    /// LCP is Opened: when to look first.
    pub(super) fn start(&mut self, now: Instant) -> Option<Instant> {
        self.unanswered = 0;
        self.config.map(|config| now + config.interval)
    }

    /// The peer does not know Echo-Requests: it must not get any more (RFC 1661 §4.3, RXJ+).
    pub(super) fn disable(&mut self) {
        self.config = None;
    }

    /// A packet of the peer came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = Some(now);
    }

    /// An Echo-Reply of the peer came.
    pub(super) fn answered(&mut self) {
        self.unanswered = 0;
    }

    /// The timer expired.
    pub(super) fn tick(&mut self, now: Instant) -> Option<EchoTick> {
        let config = self.config?;
        let idle_at = self.last_heard.map(|heard| heard + config.interval);
        if let Some(idle_at) = idle_at.filter(|idle_at| config.only_when_idle && *idle_at > now) {
            self.unanswered = 0;
            return Some(EchoTick::Wait(idle_at));
        }
        if config.max_failures > 0 && self.unanswered >= config.max_failures {
            return Some(EchoTick::Lost);
        }
        self.unanswered = self.unanswered.saturating_add(1);
        Some(EchoTick::Send(now + config.interval))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn echo(only_when_idle: bool) -> Echo {
        Echo::new(Some(EchoConfig { interval: 10 * SECOND, max_failures: 2, only_when_idle }))
    }

    #[test]
    fn silence_is_noticed_after_the_failures() {
        let base = Instant::now();
        let mut echo = echo(true);
        assert_eq!(echo.start(base), Some(base + 10 * SECOND));
        assert_eq!(echo.tick(base + 10 * SECOND), Some(EchoTick::Send(base + 20 * SECOND)));
        assert_eq!(echo.tick(base + 20 * SECOND), Some(EchoTick::Send(base + 30 * SECOND)));
        assert_eq!(echo.tick(base + 30 * SECOND), Some(EchoTick::Lost));
    }

    #[test]
    fn traffic_takes_the_place_of_echoes() {
        let base = Instant::now();
        let mut echo = echo(true);
        echo.heard(base + 7 * SECOND);
        assert_eq!(echo.tick(base + 10 * SECOND), Some(EchoTick::Wait(base + 17 * SECOND)));
        assert_eq!(echo.tick(base + 17 * SECOND), Some(EchoTick::Send(base + 27 * SECOND)));
    }

    #[test]
    fn without_the_idle_rule_only_replies_count() {
        let base = Instant::now();
        let mut echo = echo(false);
        for tick in 1..5 {
            echo.heard(base + 10 * tick * SECOND);
            assert!(matches!(echo.tick(base + 10 * tick * SECOND), Some(EchoTick::Send(_))));
            echo.answered();
        }
        echo.tick(base + 50 * SECOND);
        echo.tick(base + 60 * SECOND);
        assert_eq!(echo.tick(base + 70 * SECOND), Some(EchoTick::Lost));
    }

    #[test]
    fn off_means_off() {
        let base = Instant::now();
        let zero = EchoConfig { interval: Duration::ZERO, ..EchoConfig::default() };
        assert_eq!(Echo::new(Some(zero)).start(base), None);
        let mut echo = echo(true);
        echo.disable();
        assert_eq!(echo.tick(base), None);
    }
}
