//! Control packets and the options of LCP, IPCP and IPV6CP.

use ppp_wire::cp::CpPacket;
use ppp_wire::ipcp::IpcpOption;
use ppp_wire::ipv6cp::Ipv6cpOption;
use ppp_wire::lcp::LcpOption;

/// See the top of this file.
pub fn run(bytes: &[u8]) {
    let Ok(packet) = CpPacket::new_checked(bytes) else { return };
    for option in packet.options().flatten() {
        let mut whole = Vec::new();
        option.emit(&mut whole).expect("what was parsed fits");
        let mut out = Vec::new();
        if let Ok(lcp) = LcpOption::parse(option) {
            lcp.emit(&mut out).expect("what was parsed fits");
            assert_eq!(out, whole);
        }
        out.clear();
        if let Ok(ipcp) = IpcpOption::parse(option) {
            ipcp.emit(&mut out).expect("what was parsed fits");
            assert_eq!(out, whole);
        }
        out.clear();
        if let Ok(ipv6cp) = Ipv6cpOption::parse(option) {
            ipv6cp.emit(&mut out).expect("what was parsed fits");
            assert_eq!(out, whole);
        }
    }
}
