use super::*;
use crate::auth::AuthMethod;
use crate::testing::IoBench;

fn request(identifier: u8, password: &'static [u8]) -> Packet<'static> {
    Packet::AuthenticateRequest { identifier, peer_id: b"alice", password }
}

#[test]
fn one_verdict_answers_every_repetition() {
    for (accepted, answer) in [(true, &b"\x02\x05\x00\x07\x02hi"[..]), (false, b"\x03\x05\x00\x07\x02hi")] {
        let mut bench = IoBench::new(1492);
        let mut pap = Authenticator::new(AuthConfig::default());
        let effect = pap.handle(request(4, b"pw"), &mut bench.io());
        let Ok(Effect::Verify(Proof::Pap { name, password })) = effect else { panic!("{effect:?}") };
        assert_eq!((&name[..], &password[..]), (&b"alice"[..], &b"pw"[..]));
        let again = pap.handle(request(5, b"pw"), &mut bench.io());
        assert!(matches!(again, Ok(Effect::Nothing)), "asked once");

        let effect = pap.verdict(accepted, b"hi".to_vec(), &mut bench.io());
        assert_eq!(matches!(effect, Effect::Succeeded), accepted);
        assert_eq!(bench.sent(), [answer], "the last request is answered");
        assert!(matches!(pap.handle(request(5, b"other"), &mut bench.io()), Ok(Effect::Nothing)));
        assert_eq!(bench.sent(), [answer]);
    }
}

#[test]
fn with_tries_left_the_peer_may_ask_again() {
    let mut bench = IoBench::new(1492);
    let mut pap = Authenticator::new(AuthConfig { max_tries: 2, ..AuthConfig::default() });
    assert!(matches!(pap.handle(request(1, b"a"), &mut bench.io()), Ok(Effect::Verify(_))));
    assert!(matches!(pap.verdict(false, Vec::new(), &mut bench.io()), Effect::Nothing));
    assert_eq!(bench.sent(), [b"\x03\x01\x00\x05\x00"]);
    assert!(matches!(pap.handle(request(2, b"b"), &mut bench.io()), Ok(Effect::Verify(_))));
    assert!(matches!(pap.verdict(false, Vec::new(), &mut bench.io()), Effect::PeerRejected));
}

#[test]
fn name_and_password_of_255_bytes_pass() {
    let mut bench = IoBench::new(1492);
    let mut pap = Authenticator::new(AuthConfig::default());
    let packet = Packet::AuthenticateRequest { identifier: 1, peer_id: &[b'n'; 255], password: &[b'p'; 255] };
    let effect = pap.handle(packet, &mut bench.io());
    let Ok(Effect::Verify(Proof::Pap { name, password })) = effect else { panic!("{effect:?}") };
    assert_eq!((name.len(), password.len()), (255, 255));
}

#[test]
fn a_long_message_is_cut_to_its_length_octet() {
    let mut bench = IoBench::new(1492);
    let mut pap = Authenticator::new(AuthConfig::default());
    assert!(pap.handle(request(1, b"a"), &mut bench.io()).is_ok());
    assert!(matches!(pap.verdict(true, vec![b'x'; 300], &mut bench.io()), Effect::Succeeded));
    assert_eq!(bench.sent()[0].len(), 4 + 1 + 255);
}

#[test]
fn our_request_is_repeated_with_new_identifiers() {
    let mut bench = IoBench::new(1492);
    let credentials =
        Credentials { name: b"bob".to_vec(), secret: b"pw".to_vec().into(), methods: vec![AuthMethod::Pap] };
    let mut pap = Authenticatee::new(AuthConfig { max_transmits: 2, ..AuthConfig::default() }, credentials);
    pap.start(&mut bench.io());
    assert!(matches!(pap.timeout(&mut bench.io()), Effect::Nothing));
    assert_eq!(bench.sent(), [b"\x01\x01\x00\x0b\x03bob\x02pw", b"\x01\x02\x00\x0b\x03bob\x02pw"]);
    assert!(matches!(pap.timeout(&mut bench.io()), Effect::Silent));

    for identifier in [0, 3, 200] {
        let ack = Packet::AuthenticateAck { identifier, message: b"" };
        assert_eq!(pap.handle(ack, &mut bench.io()).unwrap_err(), Discard::Unmatched);
    }
    let ack = Packet::AuthenticateAck { identifier: 1, message: b"" };
    assert!(matches!(pap.handle(ack, &mut bench.io()), Ok(Effect::Succeeded)));
    assert!(pap.handle(ack, &mut bench.io()).is_err(), "decided");
}
