//! Frames that leave for a console, without the secrets in them.
//!
//! This looks at fixed places only, and covers too much rather than too little where lengths lie.

/// Which secrets to cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    /// Passwords of PAP.
    Passwords,
    /// Responses of CHAP as well: with the challenge, a password can be guessed from them.
    All,
}

/// Ethernet and PPPoE headers.
const PPP: usize = 14 + 6;
/// Address and Control field, which a receiver skips (RFC 1661 §6.6).
const ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];
const LCP: [u8; 2] = [0xc0, 0x21];
const PAP: [u8; 2] = [0xc0, 0x23];
const CHAP: [u8; 2] = [0xc2, 0x23];
/// Protocol, code, identifier, length.
const HEADER: usize = 2 + 4;
const AUTHENTICATE_REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const PROTOCOL_REJECT: u8 = 8;

/// Puts asterisks in the place of the password of a PAP Authenticate-Request (RFC 1334 §2.2.1) and, if that is asked
/// for, of the Value of a CHAP Response (RFC 1994 §4.1), however the lengths may lie; and in the place of what a
/// Protocol-Reject brings back of either protocol.
pub(super) fn cover_secrets(frame: &mut [u8], secrets: Secrets) {
    let Some(mut ppp) = frame.get_mut(PPP..) else { return };
    if ppp.starts_with(&ADDRESS_CONTROL) {
        ppp = ppp.get_mut(ADDRESS_CONTROL.len()..).unwrap_or_default();
    }
    let Some((header, data)) = ppp.split_at_mut_checked(HEADER) else { return };
    let Some((protocol, &[code, ..])) = header.split_first_chunk() else { return };
    match (*protocol, code) {
        (PAP, AUTHENTICATE_REQUEST) => cover_password(data),
        (CHAP, RESPONSE) if secrets == Secrets::All => cover_value(data),
        (LCP, PROTOCOL_REJECT) => {
            let is_about = |protocol: [u8; 2]| data.starts_with(&protocol);
            if is_about(PAP) || (is_about(CHAP) && secrets == Secrets::All) {
                // Its own Protocol field stays.
                data.get_mut(2..).unwrap_or_default().fill(b'*');
            }
        }
        _ => {}
    }
}

/// Everything behind the name: the password, its length, and whatever follows it, tell nothing but how long that is.
fn cover_password(data: &mut [u8]) {
    let name_len = data.first().copied().map_or(0, usize::from);
    match data.get_mut(1 + name_len + 1..) {
        Some(password) => password.fill(b'*'),
        // The name cannot be told from the password.
        None => data.get_mut(1..).unwrap_or_default().fill(b'*'),
    }
}

/// Only the name is left, if it can be told from the Value.
fn cover_value(data: &mut [u8]) {
    let len = data.first().copied().map_or(0, usize::from);
    match data.get_mut(1..1 + len) {
        // RFC 1994 §4.1 has 16 bytes with MD5; a shorter Value may be a part of a longer one.
        Some(value) if len >= 16 => value.fill(b'*'),
        _ => data.get_mut(1..).unwrap_or_default().fill(b'*'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(protocol: [u8; 2], code: u8, data: &[u8]) -> Vec<u8> {
        let len = u8::try_from(4 + data.len()).unwrap();
        [&[0; 20][..], &protocol, &[code, 7, 0, len], data].concat()
    }

    fn pap(code: u8, data: &[u8]) -> Vec<u8> {
        frame(PAP, code, data)
    }

    fn covered(mut frame: Vec<u8>, secrets: Secrets) -> Vec<u8> {
        cover_secrets(&mut frame, secrets);
        frame
    }

    #[test]
    fn a_password_is_covered_and_nothing_else() {
        let request = pap(1, b"\x05alice\x06secret");
        assert_eq!(covered(request.clone(), Secrets::Passwords), pap(1, b"\x05alice\x06******"));
        for other in
            [pap(2, b"\x05hello"), frame(CHAP, 1, b"\x05alice\x06secret"), frame(LCP, 1, b"\x01\x04ab")]
        {
            assert_eq!(covered(other.clone(), Secrets::All), other);
        }
        // A receiver would skip these two bytes.
        let mut skipped = request;
        skipped.splice(20..20, ADDRESS_CONTROL);
        assert!(covered(skipped, Secrets::Passwords).ends_with(b"\x05alice\x06******"));
    }

    #[test]
    fn a_response_is_covered_where_that_is_asked_for() {
        let response = frame(CHAP, 2, b"\x10sixteen-secrets!alice");
        assert_eq!(covered(response.clone(), Secrets::Passwords), response);
        let expected = frame(CHAP, 2, b"\x10****************alice");
        assert_eq!(covered(response, Secrets::All), expected);
        for lie in [b"\x02sixteen-secrets!", b"\xffsixteen-secrets!"] {
            assert!(covered(frame(CHAP, 2, lie), Secrets::All).ends_with(b"****************"));
        }
    }

    #[test]
    fn what_is_rejected_is_covered_as_well() {
        let reject = |protocol: [u8; 2]| frame(LCP, 8, &[&protocol, &b"\x01\x07\0\x0asecret"[..]].concat());
        assert!(covered(reject(PAP), Secrets::Passwords).ends_with(b"\xc0\x23**********"));
        assert!(covered(reject(CHAP), Secrets::All).ends_with(b"\xc2\x23**********"));
        assert_eq!(covered(reject(CHAP), Secrets::Passwords), reject(CHAP));
        assert_eq!(covered(reject([0x80, 0x21]), Secrets::All), reject([0x80, 0x21]));
    }

    #[test]
    fn lengths_that_lie_cover_what_there_is() {
        let whole = pap(1, b"\x05alice\x06secret");
        for cut in 0..whole.len() {
            let frame = covered(whole[..cut].to_vec(), Secrets::All);
            assert!(!frame.windows(2).any(|bytes| bytes == b"se"), "{cut}");
        }
        assert!(covered(pap(1, b"\xffalice\x06secret"), Secrets::Passwords).ends_with(b"\xff************"));
        cover_secrets(&mut pap(1, b""), Secrets::All);
        assert!(covered(pap(1, b"\x01a\x01secret"), Secrets::Passwords).ends_with(b"\x01******"));
    }
}
