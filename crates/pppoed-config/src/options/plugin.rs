//! pppd's plug-ins: none can be loaded here. What each is, and what to do in its place.

use super::table::Action::{self, NoEffect, Refused};

/// Plug-ins by the names of their files.
const PLUGINS: &[(&[&str], Action)] = &[
    (&["pppoe.so", "rp-pppoe.so"], NoEffect(OWN_PPPOE)),
    (&["radius.so", "radattr.so", "radrealms.so"], Refused(NO_RADIUS)),
    (&["passwordfd.so", "passprompt.so"], NoEffect("the server never authenticates itself to a client")),
    (&["minconn.so"], Refused("there is no minimum of connect time; use the option idle alone")),
    (&["winbind.so"], Refused("no MS-CHAP in this version")),
    (&["dhcpc.so"], Refused("addresses are those of the pool and the secrets files, not of a DHCP server")),
    (
        &["pppoatm.so", "pptp.so", "pppol2tp.so", "openl2tp.so"],
        Refused("it carries PPP over something else than PPPoE, which is all that this server does"),
    ),
];

/// Of the plug-in that speaks PPPoE for pppd, and of its options.
pub(super) const OWN_PPPOE: &str = "the server implements PPPoE itself";

/// Of options of a plug-in that is refused, where it is loaded.
pub(super) const OF_RADIUS: &str = "it is an option of the plug-in radius.so; no RADIUS in this version";

const NO_RADIUS: &str = "no RADIUS in this version: add the users to the secrets files or the users file, or query \
    the server in a hook script (function auth); then remove the line";

const UNKNOWN: &str = "plug-ins of pppd cannot be loaded: remove the line, or use a hook script instead";

/// What becomes of the option `plugin` with this argument.
pub(super) fn plugin(path: &[u8]) -> Action {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let known = PLUGINS.iter().find(|(names, _)| names.iter().any(|known| known.as_bytes() == name));
    known.map_or(Refused(UNKNOWN), |(_, action)| *action)
}
