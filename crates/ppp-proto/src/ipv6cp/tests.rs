use ppp_wire::cp::CpOptions;

use super::*;

const OURS: InterfaceIdentifier = [0, 0, 0, 0, 0, 0, 0, 1];
const PEERS: InterfaceIdentifier = [0, 0, 0, 0, 0, 0, 0, 2];

fn made(config: Ipv6cpConfig) -> Ipv6cpOptions {
    let mut options = Ipv6cpOptions::new(config, NumberSource::new(3));
    options.restart();
    options.begin_peer_request();
    options
}

fn bytes(identifier: InterfaceIdentifier) -> Vec<u8> {
    let mut bytes = Vec::new();
    Ipv6cpOption::InterfaceIdentifier(identifier).emit(&mut bytes).unwrap();
    bytes
}

fn judge(options: &mut Ipv6cpOptions, identifier: InterfaceIdentifier) -> (Judgement, Vec<u8>) {
    let bytes = bytes(identifier);
    let mut nak = Vec::new();
    let judgement = options.judge(cp_option(&bytes), &mut nak).unwrap();
    (judgement, nak)
}

fn cp_option(bytes: &[u8]) -> CpOption<'_> {
    CpOptions::new(bytes).next().unwrap().unwrap()
}

fn request(options: &Ipv6cpOptions) -> Vec<u8> {
    let mut request = Vec::new();
    options.write_request(&mut request).unwrap();
    request
}

#[test]
fn different_identifiers_are_agreed_on() {
    let mut options = made(Ipv6cpConfig { local: Some(OURS), remote: None });
    assert_eq!(request(&options), bytes(OURS));
    assert_eq!(judge(&mut options, PEERS), (Judgement::Ack, vec![]));
    assert_eq!(options.negotiated(), Ok(Ipv6cpNegotiated { local: OURS, remote: PEERS }));
}

#[test]
fn zero_and_ours_are_naked_with_one_that_can_be_used() {
    for asked in [NONE, OURS] {
        let mut options = made(Ipv6cpConfig { local: Some(OURS), remote: None });
        let (judgement, nak) = judge(&mut options, asked);
        assert_eq!(judgement, Judgement::Nak);
        let suggestion: InterfaceIdentifier = nak[2..].try_into().unwrap();
        assert_eq!(judge(&mut options, suggestion), (Judgement::Ack, vec![]));
    }
}

#[test]
fn an_assigned_identifier_is_insisted_on() {
    let mut options = made(Ipv6cpConfig { local: Some(OURS), remote: Some(PEERS) });
    assert_eq!(judge(&mut options, [9; 8]), (Judgement::Nak, bytes(PEERS)));
    assert_eq!(judge(&mut options, PEERS), (Judgement::Ack, vec![]));
    let mut nak = Vec::new();
    options.append_missing(&KindSet::default(), &mut nak).unwrap();
    assert_eq!(nak, bytes(PEERS));
}

#[test]
fn a_suggestion_is_taken_unless_our_identifier_is_configured() {
    let mut options = made(Ipv6cpConfig::default());
    options.naked(cp_option(&bytes(PEERS))).unwrap();
    assert_eq!(request(&options), bytes(PEERS));
    options.naked(cp_option(&bytes(NONE))).unwrap();
    assert!(request(&options) != bytes(NONE) && request(&options) != bytes(PEERS));

    let mut options = made(Ipv6cpConfig { local: Some(OURS), remote: None });
    options.naked(cp_option(&bytes(PEERS))).unwrap();
    assert_eq!(request(&options), bytes(OURS));
}

#[test]
fn without_two_identifiers_there_is_no_link() {
    let mut options = made(Ipv6cpConfig { local: Some(OURS), remote: None });
    assert_eq!(options.negotiated(), Err(NegotiationFailure::NoAddress));
    assert_eq!(judge(&mut options, PEERS).0, Judgement::Ack);
    options.rejected(cp_option(&bytes(OURS))).unwrap();
    assert_eq!(options.negotiated(), Err(NegotiationFailure::NoAddress));
}

#[test]
fn compression_is_rejected() {
    let mut options = made(Ipv6cpConfig::default());
    for option in [&[2, 4, 0, 0x4f][..], &[1, 4, 1, 2]] {
        assert_eq!(options.judge(cp_option(option), &mut Vec::new()), Ok(Judgement::Reject));
    }
}
