//! Captures of one session's frames.

use ppp_ipc::control::{CaptureEnd, CaptureRequest, CapturedFrame, Failure, Request, Response, Selector};

use super::console::Console;
use super::lab::{Lab, until, with_wire};
use super::peer::Subscriber;
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 2] = [
        ("a capture has one session's frames in both directions", both_directions),
        ("a capture ends at its limits and with its session", ends),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn request(session: u16) -> CaptureRequest {
    CaptureRequest { session, packets: 1000, bytes: 1 << 20, seconds: 60, snaplen: 2048, secrets: false }
}

fn begin(lab: &Lab, request: CaptureRequest) -> Console {
    let mut console = lab.console();
    console.send(&Request::Capture(request));
    // It listens as soon as the server has read this.
    lab.console().sessions();
    console
}

/// Everything until its end.
fn rest(console: &mut Console) -> (Vec<CapturedFrame>, CaptureEnd) {
    let mut all = Vec::new();
    loop {
        match console.receive().expect("a piece of the capture") {
            Response::Frames(frames) => all.extend(frames),
            Response::CaptureEnd(end) => {
                assert_eq!(console.receive(), Some(Response::Done));
                return (all, end);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn both_directions() {
    let lab = Lab::start(&[]);
    let mut one = Subscriber::open(good_mac(1));
    let mut other = Subscriber::open(good_mac(2));
    let mut console = begin(&lab, request(one.session_id));
    one.assert_alive();
    other.assert_alive();
    lab.console().terminate(Selector::Id(one.session_id));
    until("the session to be over", || {
        one.drive();
        lab.console().sessions().len() == 1
    });
    let (frames, end) = rest(&mut console);
    assert_eq!((end.why.as_str(), end.lost), ("the session is over", 0));
    assert_eq!(end.frames, u64::try_from(frames.len()).unwrap());
    let (from_peer, ours): (Vec<_>, Vec<_>) = frames.iter().partition(|frame| frame.is_from_peer);
    assert!(from_peer.len() >= 2 && ours.len() >= 2, "{} {}", from_peer.len(), ours.len());
    for frame in &frames {
        let peer = if frame.is_from_peer { &frame.bytes[6..12] } else { &frame.bytes[..6] };
        assert_eq!(peer, good_mac(1).0);
        assert_eq!(frame.bytes[12..14], [0x88, 0x64]);
        assert!(usize::try_from(frame.wire_len).unwrap() >= frame.bytes.len());
    }
    // A Terminate-Request of ours, and the peer's answer.
    let has = |frames: &[&CapturedFrame], code| {
        frames.iter().any(|frame| frame.bytes[20..23] == [0xc0, 0x21, code])
    };
    assert!(has(&ours, 5) && has(&from_peer, 6), "{frames:?}");
    lab.logged(&["console", &format!("command=\"capture {}\"", one.session_id)]);
    lab.stop_with(&mut [&mut other]);
}

fn ends() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    let id = subscriber.session_id;
    let ask = |request| lab.console().ask(&Request::Capture(request));
    assert_eq!(ask(request(99)), [Response::Failed(Failure::NoSuchSession)]);
    for bad in [
        CaptureRequest { packets: 0, ..request(id) },
        CaptureRequest { bytes: 0, ..request(id) },
        CaptureRequest { seconds: 0, ..request(id) },
        CaptureRequest { seconds: CaptureRequest::MAX_SECONDS + 1, ..request(id) },
        CaptureRequest { snaplen: 63, ..request(id) },
        CaptureRequest { snaplen: CaptureRequest::MAX_SNAPLEN + 1, ..request(id) },
    ] {
        assert!(matches!(ask(bad).as_slice(), [Response::Failed(Failure::Refused(_))]), "{bad:?}");
    }
    let limits = [
        (CaptureRequest { packets: 1, ..request(id) }, "that many packets were asked for"),
        (CaptureRequest { bytes: 1, ..request(id) }, "that many bytes were asked for"),
        (CaptureRequest { seconds: 1, ..request(id) }, "the time is over"),
    ];
    for (limited, why) in limits {
        let mut console = begin(&lab, limited);
        subscriber.assert_alive();
        let (frames, end) = rest(&mut console);
        assert_eq!(end.why, why);
        assert!(limited.seconds == 1 || frames.len() == 1, "{}", frames.len());
    }
    let mut going_on: Vec<Console> = (0..4).map(|_| begin(&lab, request(id))).collect();
    assert!(matches!(ask(request(id)).as_slice(), [Response::Failed(Failure::Busy(_))]));
    going_on.pop();
    until("room for another one", || {
        let mut console = begin(&lab, CaptureRequest { seconds: 1, ..request(id) });
        subscriber.drive();
        !matches!(console.receive(), Some(Response::Failed(_)))
    });
    drop(going_on);
    lab.stop_with(&mut [&mut subscriber]);
}
