//! Programs put in force, looked for, taken over, replaced and taken away.

use std::process::Command;

use super::*;
use crate::bpf::Tcx;
use crate::netlink::Direction;

fn tc(arguments: &[&str]) -> bool {
    Command::new("tc").args(arguments).output().unwrap().status.success()
}

/// Whether control of the session passes both ways.
fn works(session: &Session<'_>) -> bool {
    let wire = session.wire;
    let frame = wire.frame(wire.own(), PEER, EtherType::PppoeSession, [0x11, 0], SESSION_ID, 7);
    wire.inject(&frame);
    let heard = session.heard().is_some();
    let _ = session.socket.send(&[0xc0, 0x21, 9, 1]);
    heard && wire.sent().is_some()
}

#[test]
fn what_was_removed_is_noticed_and_put_back() {
    with_session(|session| {
        let Session { programs, device, wire, .. } = session;
        assert!(
            programs.is_access_attached(wire.id()).unwrap() && programs.is_device_attached(device).unwrap()
        );
        assert!(works(session));
        programs.detach_access(wire.id()).unwrap();
        assert!(!programs.is_access_attached(wire.id()).unwrap() && !works(session));
        programs.attach_access(wire.id()).unwrap();
        assert!(programs.is_access_attached(wire.id()).unwrap() && works(session));

        assert!(tc(&["qdisc", "del", "dev", "ppp0", "clsact"]));
        assert!(!programs.is_device_attached(device).unwrap());
        programs.attach_device(device).unwrap();
        assert!(programs.is_device_attached(device).unwrap() && works(session));
    });
}

/// `tc qdisc del dev eth1 clsact`, which somebody's script does.
#[test]
fn no_command_of_tc_removes_the_programs_of_an_access_interface() {
    with_session(|session| {
        let name = session.wire.id().name.as_str();
        if !session.programs.has_tcx() {
            return;
        }
        assert!(tc(&["qdisc", "add", "dev", name, "clsact"]) && tc(&["qdisc", "del", "dev", name, "clsact"]));
        assert!(works(session));
    });
}

/// What scripts of ip-up have done for twenty years.
#[test]
fn scripts_can_have_their_queueing_disciplines() {
    with_open_session(|session| {
        assert!(!tc(&["qdisc", "add", "dev", "ppp0", "ingress"]), "clsact has its place");
        if !session.programs.has_tcx() {
            return;
        }
        for _ in 0..2 {
            session.programs.free_clsact(&session.device).unwrap();
            assert!(session.programs.is_device_attached(&session.device).unwrap());
            assert!(works(session));
        }
        for kind in ["ingress", "clsact"] {
            assert!(tc(&["qdisc", "add", "dev", "ppp0", kind]));
            assert!(tc(&["qdisc", "del", "dev", "ppp0", kind]));
        }
        assert!(works(session) && session.programs.is_device_attached(&session.device).unwrap());
    });
}

#[test]
fn the_next_one_takes_over_what_is_in_force() {
    with_session(|session| {
        assert_eq!(session.programs.origin(), Origin::New);
        let next = load(&session.run_dir);
        assert_eq!(next.origin(), Origin::Adopted);
        assert!(next.is_admitted(session.device.index, &session.line).unwrap());
        // The same programs with the same maps, so nothing is to be done.
        assert!(next.is_access_attached(session.wire.id()).unwrap());
        assert!(next.is_device_attached(&session.device).unwrap());
        next.remove(session.device.index, &session.line).unwrap();
        assert!(!works(session));
        next.admit(session.device.index, &session.line).unwrap();
        assert!(works(session));

        // Another run directory has programs and maps of its own, in force beside these.
        let other_dir = RunDir::new();
        let other = load(&other_dir);
        assert_eq!(other.origin(), Origin::New);
        other.attach_access(session.wire.id()).unwrap();
        assert!(works(session) && next.is_access_attached(session.wire.id()).unwrap());
        other.clean_up().unwrap();
        assert!(works(session) && next.is_access_attached(session.wire.id()).unwrap());

        next.clean_up().unwrap();
        assert!(!next.is_access_attached(session.wire.id()).unwrap() && !works(session));
    });
}

#[test]
fn maps_that_are_pinned_are_there_when_no_program_is() {
    with_wire(|wire| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        let (none, flags) = (None::<&str>, nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE);
        nix::mount::mount(none, "/", none, flags, none).unwrap();
        nix::mount::mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), nix::mount::MsFlags::empty(), none)
            .unwrap();
        let session = Session::begin(wire, &SETTINGS);
        assert!(session.programs.are_pinned());
        session.programs.detach_access(wire.id()).unwrap();
        assert!(tc(&["qdisc", "del", "dev", "ppp0", "clsact"]));
        let next = load(&session.run_dir);
        assert_eq!(next.origin(), Origin::Adopted);
        assert!(next.is_admitted(session.device.index, &session.line).unwrap());
        next.clean_up().unwrap();
        assert!(!std::path::Path::new("/sys/fs/bpf/pppoed").exists());
        assert_eq!(load(&session.run_dir).origin(), Origin::New);
    });
}

/// As after an upgrade with other maps: the old programs go on with the old ones until they are replaced.
#[test]
fn programs_with_other_maps_are_replaced_in_one_step() {
    with_session(|session| {
        let settings = Settings { discovery: EtherType::Unknown(0x1234), ..SETTINGS };
        let owner = Owner::new(session.run_dir.path());
        let next = Programs::load_with(&owner, None, &settings).unwrap();
        assert!(!next.is_access_attached(session.wire.id()).unwrap());
        assert!(!next.is_device_attached(&session.device).unwrap());
        assert!(works(session));
        next.set_open(session.device.index, &session.line, OPEN).unwrap();
        next.attach_access(session.wire.id()).unwrap();
        // One is new and one is old.
        assert!(works(session));
        next.attach_device(&session.device).unwrap();
        assert!(next.is_access_attached(session.wire.id()).unwrap());
        assert!(next.is_device_attached(&session.device).unwrap());
        assert!(works(session));
        if next.has_tcx() {
            for direction in Direction::ALL {
                let programs = Tcx::new(session.wire.id().index, direction).programs().unwrap();
                assert_eq!(programs.len(), 1, "{programs:?}");
            }
        }
    });
}

#[test]
fn what_is_of_no_session_is_taken_out() {
    with_session(|session| {
        let gone = IfIndex::new(4711).unwrap();
        let line = Line { session_id: 7, ..session.line };
        session.programs.admit(gone, &line).unwrap();
        // Leads nowhere, and costs nobody anything.
        let frame = session.wire.frame(session.wire.own(), PEER, EtherType::PppoeSession, [0x11, 0], 7, 7);
        session.wire.inject(&frame);
        assert!(works(session));
        let device = session.device.index.get();
        assert_eq!(session.programs.prune(|known| known == device).unwrap(), 1);
        assert!(!session.programs.is_admitted(gone, &line).unwrap());
        assert!(session.programs.is_admitted(session.device.index, &session.line).unwrap());
        assert!(works(session));
    });
}

/// A session of the same id, and of the same host, after one whose end comes late.
#[test]
fn who_leaves_takes_nothing_of_who_came_after() {
    with_session(|session| {
        let former = IfIndex::new(4711).unwrap();
        session.programs.remove(former, &session.line).unwrap();
        assert!(works(session));
    });
}

/// Down, a device hears and says nothing; the worker learns of it at once.
#[test]
fn a_device_that_is_set_down_tells_its_worker() {
    with_session(|session| {
        let mut netlink = Netlink::open().unwrap();
        netlink.link_down(&session.device).unwrap();
        let error = session.socket.recv(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NetworkDown);
        assert_eq!(session.socket.send(&[0xc0, 0x21, 9, 1]).unwrap_err().kind(), io::ErrorKind::NetworkDown);
    });
}
