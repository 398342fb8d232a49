use super::*;

fn options(required: &[AuthMethod], offered: &[AuthMethod]) -> LcpOptions {
    let mut options =
        LcpOptions::new(LcpConfig::default(), required.to_vec(), offered.to_vec(), NumberSource::new(1));
    options.restart();
    options.begin_peer_request();
    options
}

fn bytes(option: LcpOption<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    option.emit(&mut bytes).unwrap();
    bytes
}

/// The judgement on an option, with what was suggested instead.
fn judge(options: &mut LcpOptions, option: LcpOption<'_>) -> (Judgement, Vec<u8>) {
    let bytes = bytes(option);
    let mut nak = Vec::new();
    let judgement = options.judge(cp_option(&bytes), &mut nak).unwrap();
    (judgement, nak)
}

fn cp_option(bytes: &[u8]) -> CpOption<'_> {
    cp::CpOptions::new(bytes).next().unwrap().unwrap()
}

fn naked(options: &mut LcpOptions, option: LcpOption<'_>) -> Result<(), NegotiationFailure> {
    options.naked(cp_option(&bytes(option)))
}

fn request(options: &LcpOptions) -> Vec<u8> {
    let mut request = Vec::new();
    options.write_request(&mut request).unwrap();
    request
}

#[test]
fn we_ask_for_mru_auth_and_magic_number() {
    let options = options(&[AuthMethod::ChapMd5, AuthMethod::Pap], &[]);
    let request = request(&options);
    assert_eq!(request[..11], [1, 4, 0x05, 0xd4, 3, 5, 0xc2, 0x23, 5, 5, 6]);
    assert_ne!(request[11..], [0; 4]);
    assert_eq!(request.len(), 15);
}

#[test]
fn options_that_pppoe_has_no_use_for_are_rejected() {
    let mut options = options(&[], &[]);
    for option in [
        LcpOption::Accm(0),
        LcpOption::Pfc,
        LcpOption::Acfc,
        LcpOption::QualityProtocol { protocol: Protocol::LinkQualityReport, data: &[0; 4] },
        // FCS-Alternatives (RFC 1570 §2.3), callback, multilink MRRU.
        LcpOption::Unknown(CpOption { kind: 9, data: &[1] }),
        LcpOption::Unknown(CpOption { kind: 13, data: &[6] }),
        LcpOption::Unknown(CpOption { kind: 17, data: &[5, 0xd4] }),
    ] {
        assert_eq!(judge(&mut options, option), (Judgement::Reject, vec![]), "{option:?}");
    }
    // Known options of a size that they cannot have.
    for option in [&[1, 3, 5][..], &[5, 5, 1, 2, 3], &[3, 2], &[7, 3, 0]] {
        let judgement = options.judge(cp_option(option), &mut Vec::new());
        assert_eq!(judgement, Ok(Judgement::Reject), "{option:02x?}");
    }
}

#[test]
fn the_peers_mru_is_taken_as_it_is_and_used_as_the_wire_allows() {
    for (announced, used) in [(128, 128), (576, 576), (1492, 1492), (1500, 1492), (65535, 1492)] {
        let mut options = options(&[], &[]);
        assert_eq!(judge(&mut options, LcpOption::Mru(announced)).0, Judgement::Ack);
        assert_eq!(options.negotiated().peer_mru, used);
    }
    let mut options = options(&[], &[]);
    assert_eq!(judge(&mut options, LcpOption::Mru(127)), (Judgement::Nak, vec![1, 4, 0, 128]));
    assert_eq!(options.negotiated().peer_mru, 1492, "without the option 1500, cut to the wire");
}

#[test]
fn our_mru_goes_down_but_not_up() {
    let mut options = options(&[], &[]);
    for (suggested, used) in [(1500, 1492), (1400, 1400), (1450, 1400), (100, 1400)] {
        assert_eq!(naked(&mut options, LcpOption::Mru(suggested)), Ok(()));
        assert_eq!(options.negotiated().mru, used);
    }
    options.rejected(cp_option(&[1, 4, 0x05, 0x78])).unwrap();
    assert_eq!(options.negotiated().mru, 1500);
    options.restart();
    assert_eq!(options.negotiated().mru, 1492);
}

#[test]
fn magic_numbers_zero_and_ours_are_naked_with_others() {
    let mut options = options(&[], &[]);
    let ours = options.negotiated().magic_number;
    for number in [0, ours] {
        let (judgement, nak) = judge(&mut options, LcpOption::MagicNumber(number));
        assert_eq!((judgement, &nak[..2]), (Judgement::Nak, &[5, 6][..]));
        assert!(nak[2..] != [0; 4] && nak[2..] != ours.to_be_bytes());
    }
    assert_eq!(judge(&mut options, LcpOption::MagicNumber(ours ^ 1)).0, Judgement::Ack);
    assert_eq!(options.negotiated().peer_magic_number, ours ^ 1);

    assert_eq!(naked(&mut options, LcpOption::MagicNumber(1)), Ok(()));
    assert_ne!(options.negotiated().magic_number, ours);
}

#[test]
fn our_own_magic_number_again_and_again_is_a_loop() {
    let mut options = options(&[], &[]);
    let fail = (Judgement::Fail(NegotiationFailure::Loopback), vec![]);
    for _ in 0..2 {
        let ours = options.negotiated().magic_number;
        assert_eq!(judge(&mut options, LcpOption::MagicNumber(ours)).0, Judgement::Nak);
        assert_eq!(naked(&mut options, LcpOption::MagicNumber(1)), Ok(()));
    }
    let ours = options.negotiated().magic_number;
    assert_eq!(judge(&mut options, LcpOption::MagicNumber(ours)), fail);
}

const PAP: LcpOption<'static> = LcpOption::AuthProtocol(AuthProtocol::Pap);
const CHAP: LcpOption<'static> = LcpOption::AuthProtocol(AuthProtocol::Chap(ChapAlgorithm::Md5));
const MS_CHAP: LcpOption<'static> = LcpOption::AuthProtocol(AuthProtocol::Chap(ChapAlgorithm::MsChapV2));
const EAP: LcpOption<'static> =
    LcpOption::AuthProtocol(AuthProtocol::Other { protocol: Protocol::Eap, data: &[] });

#[test]
fn a_nak_switches_to_another_allowed_method_until_none_is_left() {
    let both = [AuthMethod::ChapMd5, AuthMethod::Pap];
    for (naks, expected) in [
        (&[PAP][..], Ok(AuthMethod::Pap)),
        (&[MS_CHAP], Ok(AuthMethod::Pap)),
        (&[EAP], Ok(AuthMethod::Pap)),
        (&[CHAP], Ok(AuthMethod::ChapMd5)),
        (&[PAP, CHAP], Ok(AuthMethod::ChapMd5)),
        (
            &[MS_CHAP, EAP],
            Err("the peer wants to authenticate itself by MS-CHAP-V2 or EAP; allowed: CHAP-MD5 and PAP"
                .to_owned()),
        ),
    ] {
        let mut options = options(&both, &[]);
        let result = naks.iter().try_for_each(|nak| naked(&mut options, *nak));
        let method = result.map(|()| options.negotiated().auth.unwrap()).map_err(|error| error.to_string());
        assert_eq!(method, expected, "{naks:?}");
    }
    let mut only_chap = options(&[AuthMethod::ChapMd5], &[]);
    let failure = naked(&mut only_chap, PAP).unwrap_err().to_string();
    assert_eq!(failure, "the peer wants to authenticate itself by PAP; allowed: CHAP-MD5");
}

#[test]
fn a_rejected_or_unreadable_auth_option_is_a_refusal() {
    let mut options = options(&[AuthMethod::ChapMd5], &[]);
    let refused = "the peer refused to authenticate itself, and proposed no other method; allowed: CHAP-MD5";
    assert_eq!(options.rejected(cp_option(&bytes(CHAP))).unwrap_err().to_string(), refused);
    assert_eq!(options.naked(cp_option(&[3, 3, 0xc2])).unwrap_err().to_string(), refused);
}

#[test]
fn the_peers_wish_to_authenticate_us_is_met_as_far_as_we_can() {
    let mut without = options(&[], &[]);
    for option in [PAP, CHAP, EAP] {
        assert_eq!(judge(&mut without, option), (Judgement::Reject, vec![]));
    }
    let mut with = options(&[], &[AuthMethod::ChapMd5, AuthMethod::Pap]);
    for (option, method) in [(PAP, AuthMethod::Pap), (CHAP, AuthMethod::ChapMd5)] {
        assert_eq!(judge(&mut with, option), (Judgement::Ack, vec![]));
        assert_eq!(with.negotiated().peer_auth, Some(method));
    }
    for option in [MS_CHAP, EAP] {
        assert_eq!(judge(&mut with, option), (Judgement::Nak, bytes(CHAP)));
    }
}
