use std::time::Duration;

use super::*;
use crate::auth::AuthMethod;
use crate::testing::IoBench;

/// Values computed with another implementation of MD5.
#[test]
fn responses_as_another_implementation_computes_them() {
    let counting: Vec<u8> = (0..16).collect();
    let coffee = [0xc0, 0xff, 0xee, 0x00].repeat(4);
    for (identifier, secret, challenge, response) in [
        (1, &b"secret"[..], &counting[..], VECTOR_1),
        (255, b"123456", &coffee, VECTOR_2),
        (0, b"", &[0], VECTOR_3),
    ] {
        assert_eq!(u128::from_be_bytes(md5_response(identifier, secret, challenge)), response);
        assert!(verify(identifier, secret, challenge, &response.to_be_bytes()));
        assert!(!verify(identifier.wrapping_add(1), secret, challenge, &response.to_be_bytes()));
        assert!(!verify(identifier, b"other", challenge, &response.to_be_bytes()));
        for bit in 0..128 {
            assert!(!verify(identifier, secret, challenge, &(response ^ (1 << bit)).to_be_bytes()));
        }
    }
}

const VECTOR_1: u128 = 0x740e_8646_3bda_3a4d_7017_d6e0_fba0_699d;
const VECTOR_2: u128 = 0x1132_9017_d0d0_5b30_f8e3_8279_9e00_cafc;
const VECTOR_3: u128 = 0xc410_3f12_2d27_677c_9db1_44ca_e139_4a66;

fn challenge(identifier: u8) -> Challenge {
    Challenge { identifier, value: vec![0x5a; 16], name: b"ac".to_vec() }
}

fn response(identifier: u8) -> Packet<'static> {
    Packet::Response { identifier, value: &[1; 16], name: b"alice" }
}

fn challenged(bench: &mut IoBench, config: AuthConfig) -> Authenticator {
    let mut chap = Authenticator::new(config);
    assert!(chap.challenge(challenge(7), &mut bench.io()));
    assert!(!chap.challenge(challenge(8), &mut bench.io()), "one at a time");
    assert_eq!(bench.sent(), [[&[1, 7, 0, 23, 16][..], &[0x5a; 16], b"ac"].concat()]);
    chap
}

#[test]
fn the_challenge_is_repeated_unchanged_until_the_peer_counts_as_silent() {
    let mut bench = IoBench::new(1492);
    let mut chap = challenged(&mut bench, AuthConfig { max_transmits: 3, ..AuthConfig::default() });
    for _ in 0..2 {
        bench.now += Duration::from_secs(3);
        assert_eq!(bench.timers.expire(bench.now), Some(Timer::AuthenticatorRestart));
        assert!(matches!(chap.timeout(&mut bench.io()), Effect::Nothing));
        assert_eq!(bench.sent()[0][..2], [1, 7]);
    }
    assert!(matches!(chap.timeout(&mut bench.io()), Effect::Silent));
}

#[test]
fn one_verdict_answers_every_repetition() {
    let mut bench = IoBench::new(1492);
    let mut chap = challenged(&mut bench, AuthConfig::default());
    assert_eq!(chap.handle(response(6), &mut bench.io()).unwrap_err(), Discard::Unmatched);
    assert!(matches!(
        chap.handle(response(7), &mut bench.io()),
        Ok(Effect::Verify(Proof::Chap { identifier: 7, .. }))
    ));
    assert!(!bench.timers.runs(Timer::AuthenticatorRestart));
    assert_eq!(chap.handle(response(7), &mut bench.io()).unwrap_err(), Discard::Unmatched);
    assert!(matches!(chap.verdict(true, b"welcome".to_vec(), &mut bench.io()), Effect::Succeeded));
    assert_eq!(bench.sent(), [b"\x03\x07\x00\x0bwelcome"]);

    let other_secret = Packet::Response { identifier: 7, value: &[2; 16], name: b"mallory" };
    assert!(matches!(chap.handle(other_secret, &mut bench.io()), Ok(Effect::Nothing)));
    assert_eq!(bench.sent(), [b"\x03\x07\x00\x0bwelcome"]);
    assert!(matches!(chap.verdict(false, Vec::new(), &mut bench.io()), Effect::Nothing));
    assert_eq!(bench.sent().len(), 0);
}

#[test]
fn a_wrong_response_fails_or_gets_another_challenge() {
    let mut bench = IoBench::new(1492);
    let mut chap = challenged(&mut bench, AuthConfig { max_tries: 2, ..AuthConfig::default() });
    assert!(chap.handle(response(7), &mut bench.io()).is_ok());
    assert!(matches!(chap.verdict(false, Vec::new(), &mut bench.io()), Effect::NeedChallenge));
    assert_eq!(bench.sent().len(), 0, "no Failure yet");
    assert!(chap.challenge(challenge(8), &mut bench.io()));
    assert!(chap.handle(response(7), &mut bench.io()).is_err());
    assert!(chap.handle(response(8), &mut bench.io()).is_ok());
    bench.sent();
    assert!(matches!(chap.verdict(false, b"no".to_vec(), &mut bench.io()), Effect::PeerRejected));
    assert_eq!(bench.sent(), [b"\x04\x08\x00\x06no"]);
}

#[test]
fn a_response_that_is_not_md5_sized_is_malformed() {
    let mut bench = IoBench::new(1492);
    let mut chap = challenged(&mut bench, AuthConfig::default());
    let short = Packet::Response { identifier: 7, value: &[1; 15], name: b"alice" };
    assert!(matches!(chap.handle(short, &mut bench.io()), Err(Discard::Malformed(_))));
    assert!(chap.handle(response(7), &mut bench.io()).is_ok(), "the challenge still stands");
}

#[test]
fn a_long_message_is_cut_to_the_peers_mru() {
    let mut bench = IoBench::new(1492);
    let mut chap = challenged(&mut bench, AuthConfig::default());
    assert!(chap.handle(response(7), &mut bench.io()).is_ok());
    bench.out.set_limit(128);
    assert!(matches!(chap.verdict(true, vec![b'x'; 2000], &mut bench.io()), Effect::Succeeded));
    assert_eq!(bench.sent()[0].len(), 128);
}

fn authenticatee() -> Authenticatee {
    let credentials = Credentials {
        name: b"alice".to_vec(),
        secret: b"secret".to_vec().into(),
        methods: vec![AuthMethod::ChapMd5],
    };
    Authenticatee::new(AuthConfig { max_transmits: 2, ..AuthConfig::default() }, credentials)
}

#[test]
fn every_challenge_is_answered_and_the_answer_repeated() {
    let mut bench = IoBench::new(1492);
    let mut chap = authenticatee();
    let counting: Vec<u8> = (0..16).collect();
    let packet = Packet::Challenge { identifier: 1, value: &counting, name: b"ac" };
    assert!(chap.handle(packet, &mut bench.io()).is_ok());
    let expected = [&[2, 1, 0, 26, 16][..], &VECTOR_1.to_be_bytes(), b"alice"].concat();
    assert_eq!(bench.sent(), [&expected[..]]);
    assert!(matches!(chap.timeout(&mut bench.io()), Effect::Nothing));
    assert_eq!(bench.sent(), [expected]);
    assert!(matches!(chap.timeout(&mut bench.io()), Effect::Silent));
}

#[test]
fn only_the_answer_to_our_response_counts() {
    let mut bench = IoBench::new(1492);
    let mut chap = authenticatee();
    let success = |identifier| Packet::Success { identifier, message: b"" };
    assert!(chap.handle(success(1), &mut bench.io()).is_err(), "nothing was asked");
    let packet = Packet::Challenge { identifier: 1, value: &[1], name: b"ac" };
    assert!(chap.handle(packet, &mut bench.io()).is_ok());
    assert!(chap.handle(success(2), &mut bench.io()).is_err());
    assert!(matches!(chap.handle(success(1), &mut bench.io()), Ok(Effect::Succeeded)));
    let failure = Packet::Failure { identifier: 1, message: b"late" };
    assert!(chap.handle(failure, &mut bench.io()).is_err());
    assert!(!bench.timers.runs(Timer::AuthenticateeRestart));
}
