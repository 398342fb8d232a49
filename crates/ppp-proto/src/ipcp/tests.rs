use ppp_wire::cp::CpOptions;

use super::*;

const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const DNS: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const ZERO: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn assigning() -> IpcpOptions {
    let name_servers = NameServers { dns: [Some(DNS), None], nbns: [None, Some(OTHER)] };
    made(IpcpConfig::Assign { local: LOCAL, remote: REMOTE, name_servers })
}

fn made(config: IpcpConfig) -> IpcpOptions {
    let mut options = IpcpOptions::new(config);
    options.restart();
    options.begin_peer_request();
    options
}

fn bytes(options: &[IpcpOption<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    options.iter().try_for_each(|option| option.emit(&mut bytes)).unwrap();
    bytes
}

fn judge(options: &mut IpcpOptions, option: IpcpOption<'_>) -> (Judgement, Vec<u8>) {
    let bytes = bytes(&[option]);
    let mut nak = Vec::new();
    let judgement = options.judge(cp_option(&bytes), &mut nak).unwrap();
    (judgement, nak)
}

fn cp_option(bytes: &[u8]) -> CpOption<'_> {
    CpOptions::new(bytes).next().unwrap().unwrap()
}

fn request(options: &IpcpOptions) -> Vec<u8> {
    let mut request = Vec::new();
    options.write_request(&mut request).unwrap();
    request
}

#[test]
fn any_address_but_the_assigned_one_is_naked() {
    let mut options = assigning();
    for asked in [ZERO, OTHER, LOCAL] {
        let expected = (Judgement::Nak, bytes(&[IpcpOption::IpAddress(REMOTE)]));
        assert_eq!(judge(&mut options, IpcpOption::IpAddress(asked)), expected);
    }
    assert_eq!(judge(&mut options, IpcpOption::IpAddress(REMOTE)), (Judgement::Ack, vec![]));
}

#[test]
fn name_servers_are_told_where_configured_and_rejected_elsewhere() {
    let mut options = assigning();
    for (option, expected) in [
        (IpcpOption::PrimaryDns(ZERO), (Judgement::Nak, bytes(&[IpcpOption::PrimaryDns(DNS)]))),
        (IpcpOption::PrimaryDns(OTHER), (Judgement::Nak, bytes(&[IpcpOption::PrimaryDns(DNS)]))),
        (IpcpOption::PrimaryDns(DNS), (Judgement::Ack, vec![])),
        (IpcpOption::SecondaryDns(ZERO), (Judgement::Reject, vec![])),
        (IpcpOption::PrimaryNbns(ZERO), (Judgement::Reject, vec![])),
        (IpcpOption::SecondaryNbns(ZERO), (Judgement::Nak, bytes(&[IpcpOption::SecondaryNbns(OTHER)]))),
        (IpcpOption::SecondaryNbns(OTHER), (Judgement::Ack, vec![])),
    ] {
        assert_eq!(judge(&mut options, option), expected, "{option:?}");
    }
    let granted = NameServers { dns: [Some(DNS), None], nbns: [None, Some(OTHER)] };
    assert_eq!(options.negotiated().unwrap().name_servers, granted);
}

#[test]
fn compression_and_the_deprecated_option_are_rejected() {
    let mut options = assigning();
    for option in [
        IpcpOption::IpCompression { protocol: Protocol::VjCompressedTcp, data: &[15, 1] },
        IpcpOption::IpAddresses { source: ZERO, destination: ZERO },
        IpcpOption::Unknown(CpOption { kind: 4, data: &[0; 4] }),
    ] {
        assert_eq!(judge(&mut options, option), (Judgement::Reject, vec![]), "{option:?}");
    }
    assert_eq!(options.judge(cp_option(&[3, 5, 1, 2, 3]), &mut Vec::new()), Ok(Judgement::Reject));
}

#[test]
fn a_peer_that_asks_for_no_address_is_told_one() {
    let mut nak = Vec::new();
    assigning().append_missing(&KindSet::default(), &mut nak).unwrap();
    assert_eq!(nak, bytes(&[IpcpOption::IpAddress(REMOTE)]));
    nak.clear();
    made(IpcpConfig::Request).append_missing(&KindSet::default(), &mut nak).unwrap();
    assert_eq!(nak, []);
}

#[test]
fn our_address_is_not_the_peers_to_choose() {
    let mut options = assigning();
    assert_eq!(request(&options), bytes(&[IpcpOption::IpAddress(LOCAL)]));
    options.naked(cp_option(&bytes(&[IpcpOption::IpAddress(OTHER)]))).unwrap();
    assert_eq!(request(&options), bytes(&[IpcpOption::IpAddress(LOCAL)]));
    options.rejected(cp_option(&request(&options))).unwrap();
    assert_eq!(request(&options), []);
    let negotiated = options.negotiated().unwrap();
    assert_eq!((negotiated.local, negotiated.remote), (LOCAL, REMOTE));
}

#[test]
fn the_asking_end_takes_what_it_is_told() {
    let mut options = made(IpcpConfig::Request);
    let asked = [IpcpOption::IpAddress(ZERO), IpcpOption::PrimaryDns(ZERO), IpcpOption::SecondaryDns(ZERO)];
    assert_eq!(request(&options), bytes(&asked));
    options.naked(cp_option(&bytes(&[IpcpOption::IpAddress(REMOTE)]))).unwrap();
    options.naked(cp_option(&bytes(&[IpcpOption::PrimaryDns(DNS)]))).unwrap();
    options.rejected(cp_option(&bytes(&[IpcpOption::SecondaryDns(ZERO)]))).unwrap();
    assert_eq!(request(&options), bytes(&[IpcpOption::IpAddress(REMOTE), IpcpOption::PrimaryDns(DNS)]));
    assert_eq!(judge(&mut options, IpcpOption::IpAddress(LOCAL)).0, Judgement::Ack);

    let negotiated = options.negotiated().unwrap();
    assert_eq!((negotiated.local, negotiated.remote), (REMOTE, LOCAL));
    assert_eq!(negotiated.name_servers.dns, [Some(DNS), None]);
}

#[test]
fn the_asking_end_needs_an_address() {
    let mut options = made(IpcpConfig::Request);
    assert_eq!(options.negotiated(), Err(NegotiationFailure::NoAddress));
    assert_eq!(judge(&mut options, IpcpOption::IpAddress(ZERO)), (Judgement::Reject, vec![]));
    options.rejected(cp_option(&bytes(&[IpcpOption::IpAddress(ZERO)]))).unwrap();
    assert_eq!(options.negotiated(), Err(NegotiationFailure::NoAddress));
}
