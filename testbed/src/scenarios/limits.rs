//! Every limit at its edge: what is refused or ignored, that it is counted, and that it goes by.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ppp_wire::MacAddr;
use ppp_wire::pppoe::{Code, TagType};

use super::check;
use super::{Load, Scenario};
use crate::client::dial;
use crate::lab::{Lab, mac};
use crate::own_client::{line_mac, numbered_dial_config};
use crate::server::{Server, Setup};
use crate::station::Station;
use crate::wait;
use crate::world::{Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "limits",
    about: "sessions per user, per interface, in the making; rates, delayed offers, lists of MAC addresses",
    peer: "the test bed's own client (CHAP), and the test bed's own frames",
    load: Load::Times,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "",
    options: "require-chap\nlcp-restart 1\n",
    chap_secrets: "alice * secret 10.0.0.9\n",
    ..Setup::CHAP
};

const ANY: (TagType, &[u8]) = (TagType::ServiceName, b"");
const DIAL: Duration = Duration::from_secs(20);

fn run(lab: &Lab) -> Result<()> {
    let world = World::build("lab", Wiring::AccessOnEth1, Uplink::Isolated)?;
    let bench =
        Bench { one: Station::open(&world, "one", 1)?, two: Station::open(&world, "two", 2)?, world, lab };
    bench.a_user_takes_over_from_itself()?;
    bench.a_user_is_denied_a_second_session()?;
    bench.sessions_on_an_interface()?;
    bench.sessions_in_setup()?;
    bench.offers_of_one_station()?;
    bench.offers_wait_by_load()?;
    bench.stations_on_a_list()
}

struct Bench<'a> {
    lab: &'a Lab,
    world: World,
    one: Station,
    two: Station,
}

impl Bench<'_> {
    /// Runs `test` against a server with these flags beside the usual ones.
    fn with_server(&self, flags: &str, test: impl FnOnce(&Server) -> Result<()>) -> Result<()> {
        self.with_files(flags, &[], test)
    }

    fn with_files(
        &self,
        flags: &str,
        files: &[(&str, &str)],
        test: impl FnOnce(&Server) -> Result<()>,
    ) -> Result<()> {
        let all = format!("-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 8 {flags}");
        let setup = Setup { flags: &all, files, ..SETUP };
        let server = Server::start(&self.world, self.lab.path(), &setup)?;
        test(&server).with_context(|| format!("with {flags}"))?;
        server.stop(&self.world)
    }

    fn dropped(&self, server: &Server, cause: &str) -> Result<u64> {
        check::dropped(server, &self.world, cause)
    }

    /// The same fixed address, from the old session to the new one.
    fn a_user_takes_over_from_itself(&self) -> Result<()> {
        self.with_server("--sessions-per-user 1", |server| {
            let address = |number| -> Result<_> {
                let config = numbered_dial_config(&self.world, number, "alice", "secret")?;
                let session = dial(config, Instant::now() + DIAL)?;
                ensure!(session.opened().local.to_string() == "10.0.0.9", "{:?}", session.opened());
                Ok(session)
            };
            let old = address(0)?;
            let start = Instant::now();
            let new = address(1)?;
            println!("    taken over after {:.0?}", start.elapsed());
            wait::until_true("the end of the old session", check::GONE, || Ok(old.is_over()))?;
            let old_mac = mac(line_mac(0));
            server.wait_for_log(&["session ended", &old_mac, "reason=\"replaced\"", "10.0.0.9"])?;
            let sessions = server.sessions(&self.world)?;
            let [session] = sessions.as_slice() else { bail!("not one session: {sessions:?}") };
            ensure!(check::text(session, "mac")? == mac(line_mac(1)), "{session}");
            ensure!(check::text(session, "ip")? == "10.0.0.9", "{session}");
            new.hang_up()?;
            Ok(())
        })
    }

    fn a_user_is_denied_a_second_session(&self) -> Result<()> {
        self.with_server("--sessions-per-user 1 --user-limit deny", |server| {
            let first =
                dial(numbered_dial_config(&self.world, 2, "alice", "secret")?, Instant::now() + DIAL)?;
            let second =
                dial(numbered_dial_config(&self.world, 3, "alice", "secret")?, Instant::now() + DIAL);
            ensure!(second.is_err(), "alice has two sessions");
            check::log_line(
                server,
                &["authentication refused", "username=\"alice\"", "has 1 of 1 sessions"],
            )?;
            ensure!(!first.is_over(), "the first session ended");
            first.hang_up()?;
            server.wait_for_sessions(&self.world, 0, check::GONE)?;
            let third =
                dial(numbered_dial_config(&self.world, 4, "alice", "secret")?, Instant::now() + DIAL)?;
            third.hang_up()?;
            Ok(())
        })
    }

    fn sessions_on_an_interface(&self) -> Result<()> {
        self.with_server("--sessions-per-interface 1", |server| {
            self.one.connect()?;
            let offer = self.two.discover(&[ANY])?;
            let refusal = self.two.request(&offer, &[ANY])?;
            ensure!(refusal.session_id == 0, "{refusal:?}");
            ensure!(refusal.tag(TagType::AcSystemError).is_some(), "{refusal:?}");
            ensure!(self.dropped(server, "no_free_slot")? == 1, "not counted");
            server.wait_for_log(&["limit reached", "no_free_slot"])?;
            // Its own session makes room for itself.
            self.one.connect().map(drop)
        })?;
        self.with_server("--sessions-per-interface 1 -i", |server| {
            self.one.connect()?;
            self.is_ignored(server, &self.two, "no_free_slot")
        })
    }

    fn sessions_in_setup(&self) -> Result<()> {
        self.with_server("--max-starting 1", |server| {
            // One that is silent makes room for the next.
            let silent = self.one.connect()?;
            let next = self.two.connect()?;
            ensure!(silent != next, "both have session {next}");
            server.wait_for_log(&[
                "session ended",
                "setup-timeout",
                "it has proven nothing yet, and others dial",
            ])?;
            let open = dial(numbered_dial_config(&self.world, 5, "alice", "secret")?, Instant::now() + DIAL)?;
            // One that has logged in is not in setup, and nobody takes its place.
            self.one.connect()?;
            self.two.connect()?;
            ensure!(!open.is_over(), "an open session made room");
            open.hang_up().map(drop)
        })
    }

    fn offers_of_one_station(&self) -> Result<()> {
        self.with_server("--mac-rate 2", |server| {
            self.one.discover(&[ANY])?;
            self.one.discover(&[ANY])?;
            // Each takes a while, so there may be a third token by now, but no fourth.
            let padi = self.one.frame(MacAddr::BROADCAST, Code::Padi, 0, &[ANY])?;
            for _ in 0..4 {
                self.one.send(&padi)?;
            }
            wait::until_true("a drop", check::GONE, || Ok(self.dropped(server, "mac_rate")? >= 3))?;
            self.two.discover(&[ANY]).map(drop)
        })
    }

    fn offers_wait_by_load(&self) -> Result<()> {
        self.with_server("--pado-delay 0,600:1,-1:2", |server| {
            let offer_after = |station: &Station| -> Result<Duration> {
                let start = Instant::now();
                station.discover(&[ANY])?;
                Ok(start.elapsed())
            };
            let at_once = offer_after(&self.one)?;
            ensure!(at_once < Duration::from_millis(300), "an offer took {at_once:.0?} without load");
            self.one.connect()?;
            let delayed = offer_after(&self.two)?;
            println!("    offers after {at_once:.0?} and, with one session, after {delayed:.0?}");
            ensure!(delayed >= Duration::from_millis(600), "an offer came after {delayed:.0?}");
            self.two.connect()?;
            self.is_ignored(server, &self.two, "overload")
        })
    }

    fn stations_on_a_list(&self) -> Result<()> {
        let one = "02:00:00:00:5a:01";
        let flags = "--mac-deny /etc/ppp/deny";
        let faulty = format!("-I eth1 -L 10.0.0.1 -R 10.0.0.2 {flags}");
        let setup = Setup { flags: &faulty, files: &[("deny", "# who\n02:00\n")], ..SETUP };
        let refusal = Server::refused(&self.world, self.lab.path(), &setup)?;
        ensure!(refusal.contains("/etc/ppp/deny:2: \"02:00\" is not a MAC address"), "{refusal}");

        self.with_files(flags, &[("deny", &format!("{one} # unpaid\n"))], |server| {
            self.is_ignored(server, &self.one, "mac_not_allowed")?;
            self.two.discover(&[ANY])?;
            server.write_file("/etc/ppp/deny", "nonsense\n")?;
            server.wait_for_log(&["/etc/ppp/deny:1"])?;
            server.wait_for_log(&["keeping the previous lists of MAC addresses"])?;
            self.is_ignored(server, &self.one, "mac_not_allowed")?;
            server.write_file("/etc/ppp/deny", "")?;
            server.wait_for_log(&["lists of MAC addresses changed"])?;
            self.one.discover(&[ANY]).map(drop)
        })?;
        self.with_files("--mac-allow /etc/ppp/allow", &[("allow", one)], |server| {
            self.one.discover(&[ANY])?;
            self.is_ignored(server, &self.two, "mac_not_allowed")
        })
    }

    /// A PADI of the station gets no answer, and is counted.
    fn is_ignored(&self, server: &Server, station: &Station, cause: &str) -> Result<()> {
        let before = self.dropped(server, cause)?;
        station.forget()?;
        station.send(&station.frame(MacAddr::BROADCAST, Code::Padi, 0, &[ANY])?)?;
        station.expect_silence()?;
        let now = self.dropped(server, cause)?;
        ensure!(now == before + 1, "{cause}: {now} after {before}");
        Ok(())
    }
}
