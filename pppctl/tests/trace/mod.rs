//! `pppctl trace`, as a lab engineer sees it.

use std::time::Duration;

use ppp_ipc::control::{
    CaptureEnd, CapturedFrame, Request, Response, TraceRequest, TraceTarget, TracedFrame,
};

use crate::fake::{Fake, Server};
use crate::terminal::Terminal;
use crate::{assert_fails, result};

const PEER: [u8; 6] = [2, 0, 0x5e, 0x10, 0, 1];
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Milliseconds after 10:31:02, a frame of discovery (`session` 0) or of PPP.
fn frame(ms: u64, is_from_peer: bool, code: u8, session: u16, payload: &[u8]) -> TracedFrame {
    let ends = if is_from_peer { [OURS, PEER] } else { [PEER, OURS] }.concat();
    let kind = [0x88, if code == 0 { 0x64 } else { 0x63 }, 0x11, code];
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let bytes = [&ends, &kind[..], &session.to_be_bytes(), &len, payload].concat();
    let frame = CapturedFrame {
        time_ns: (37_862_000 + ms) * 1_000_000,
        is_from_peer,
        wire_len: u32::try_from(bytes.len()).unwrap(),
        bytes,
    };
    TracedFrame { interface: "eth1".into(), frame }
}

/// A dial that comes as far as authentication.
pub(crate) fn dial() -> Vec<TracedFrame> {
    vec![
        frame(0, true, 0x09, 0, b"\x01\x01\0\0\x01\x03\0\x02\xab\xcd"),
        frame(
            1,
            false,
            0x07,
            0,
            b"\x01\x02\0\x05bras1\x01\x01\0\0\x01\x03\0\x02\xab\xcd\x01\x04\0\x02\x11\x12",
        ),
        frame(2, true, 0x19, 0, b"\x01\x01\0\0\x01\x03\0\x02\xab\xcd\x01\x04\0\x02\x11\x12"),
        frame(5, false, 0x65, 7, b"\x01\x01\0\0\x01\x03\0\x02\xab\xcd"),
        frame(
            6,
            false,
            0,
            7,
            b"\xc0\x21\x01\x01\0\x13\x01\x04\x05\xd4\x03\x05\xc2\x23\x05\x05\x06\x1a\x2b\x3c\x4d",
        ),
        frame(8, true, 0, 7, b"\xc0\x21\x03\x01\0\x08\x03\x04\xc0\x23"),
        frame(9, true, 0, 7, b"\xc0\x23\x01\x02\0\x11\x05al\x1bce\x06secret"),
        frame(10, false, 0, 7, b"\xc0\x23\x03\x02\0\x08\x03no!"),
        frame(11, true, 0, 7, b"\xc0\x21\x09\x01\0\x63"),
        frame(12, false, 0xa7, 7, b""),
    ]
}

fn pieces(lost: bool) -> Vec<Response> {
    let mut frames = dial();
    let rest = frames.split_off(4);
    let mut pieces = vec![Response::Traced(frames)];
    if lost {
        pieces.push(Response::Lost { count: 3 });
    }
    pieces.push(Response::Traced(rest));
    let end = CaptureEnd { frames: 10, lost: 3, why: "the session is over".into() };
    pieces.extend([Response::CaptureEnd(end), Response::Done]);
    pieces
}

#[test]
fn a_dial_line_by_line() {
    let fake = Fake::answering(|request| {
        let target = TraceTarget::Session(7);
        assert_eq!(
            request,
            Request::Trace(TraceRequest { target, data: false, packets: 1_000_000, seconds: 3600 })
        );
        pieces(true)
    });
    let output = fake.run(&["--utc", "trace", "7"]);
    let expected = r#"1970-01-01 10:31:02.000+00:00 rcvd eth1 02:00:5e:10:00:01 PADI service_name="" host_uniq=0xabcd
1970-01-01 10:31:02.001+00:00 sent eth1 02:00:5e:10:00:01 PADO ac_name="bras1" service_name="" host_uniq=0xabcd ac_cookie=0x1112
1970-01-01 10:31:02.002+00:00 rcvd eth1 02:00:5e:10:00:01 PADR service_name="" host_uniq=0xabcd ac_cookie=0x1112
1970-01-01 10:31:02.005+00:00 sent eth1 02:00:5e:10:00:01 PADS session=7 service_name="" host_uniq=0xabcd
-- 3 packets came too fast and are lost
1970-01-01 10:31:02.006+00:00 sent 7 LCP Configure-Request id=1 mru=1492 auth=chap-md5 magic_number=0x1a2b3c4d
1970-01-01 10:31:02.008+00:00 rcvd 7 LCP Configure-Nak id=1 auth=pap
1970-01-01 10:31:02.009+00:00 rcvd 7 PAP Authenticate-Request id=2 name="al\u{1b}ce" password=<hidden>
1970-01-01 10:31:02.010+00:00 sent 7 PAP Authenticate-Nak id=2 message="no!"
1970-01-01 10:31:02.011+00:00 rcvd 7 LCP MALFORMED (control packet claims a length of 99, possible are 4 to 4) [c0 21 09 01 00 63]
1970-01-01 10:31:02.012+00:00 sent eth1 02:00:5e:10:00:01 PADT session=7
-- 10 packets, 3 lost: the session is over
"#;
    assert_eq!(result(&output), (0, expected, ""));
}

/// The first Configure-Request is sent again when the peer turns out to be there.
#[test]
fn what_is_sent_once_more_is_told_from_what_is_new() {
    let request = |ms, is_from_peer| frame(ms, is_from_peer, 0, 7, b"\xc0\x21\x01\x01\0\x08\x01\x04\x05\xd4");
    let frames = vec![request(1, false), request(2, true), request(3, false)];
    let pieces = move |_| {
        let end = CaptureEnd { frames: 3, lost: 0, why: "the session is over".into() };
        vec![Response::Traced(frames.clone()), Response::CaptureEnd(end), Response::Done]
    };
    let output = Fake::answering(pieces).run(&["--utc", "trace", "7"]);
    let (_, stdout, _) = result(&output);
    let ends: Vec<bool> = stdout.lines().take(3).map(|line| line.ends_with(" mru=1492 (again)")).collect();
    assert_eq!(ends, [false, false, true], "{stdout}");
}

#[test]
fn a_document_for_each_packet() {
    let output = Fake::answering(|_| pieces(true)).run(&["trace", "new", "--json"]);
    let (code, stdout, _) = result(&output);
    let documents: Vec<serde_json::Value> =
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, documents.len()), (0, 12));
    assert!(documents.iter().all(|document| document["schema"] == 1), "{stdout}");
    assert_eq!(documents[0]["packet"]["code"], "PADI");
    assert_eq!(documents[4]["lost"], 3);
    assert_eq!(documents[5]["packet"]["fields"][1], serde_json::json!({"name": "auth", "value": "chap-md5"}));
    assert_eq!(documents[11]["trace_end"]["why"], "the session is over");
    assert!(!stdout.contains("secret"), "{stdout}");
}

#[test]
fn who_is_not_there_is_told_how_to_be_seen() {
    let refuse = |_| vec![Response::Failed(ppp_ipc::control::Failure::NoSuchSession)];
    let output = Fake::answering(refuse).run(&["trace", "user", "alice"]);
    assert_fails(&output, 1, "no session of the user \"alice\" (trace new, mac or interface");
    assert_fails(&Fake::answering(refuse).run(&["trace", "9"]), 1, "no session has the id 9");
    let output = crate::fake::pppctl(std::path::Path::new("/nonexistent"), &["trace", "new", "-o", "csv"]);
    let output = { output }.output().unwrap();
    assert_fails(&output, 2, "use --output json");
}

#[test]
fn ctrl_c_ends_a_trace_and_not_the_shell() {
    let server = Server::answering(|request| match request {
        // No end.
        Request::Trace(_) => vec![Response::Traced(dial())],
        Request::ShowStats => vec![Response::Stats(Box::default()), Response::Done],
        _ => vec![Response::Sessions(Vec::new()), Response::Done],
    });
    let mut terminal = Terminal::start(&server.socket, &["--timeout", "0.3"]);
    terminal.wait_for_prompt("bras1 (0 sessions)>");
    // The id is no command, and `new` may be cut short.
    terminal.send("trace 7 --data | include PAP\r");
    let screen = terminal.wait_for("Authenticate-Nak");
    assert!(!screen.contains("PADO"), "{screen}");
    std::thread::sleep(Duration::from_millis(500));
    terminal.send("\x03");
    terminal.wait_for_prompt("bras1 (0 sessions)>");
    terminal.send("tra n\r");
    terminal.wait_for("PADT session=7");
    terminal.send("\x03");
    terminal.wait_for_prompt("bras1 (0 sessions)>");
    terminal.send("exit\r");
    assert_eq!(terminal.wait(), 0);
}
