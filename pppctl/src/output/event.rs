//! An event on one line, for people.

use ppp_ipc::control::{Event, EventName};
use ppp_ipc::name::Name;
use ppp_wire::escape::harmless;

use super::{style::Style, units};
use crate::terminal::Screen;

/// Width of the longest name of an event.
const NAME_WIDTH: usize = 15;

/// `2026-11-30 11:31:02.123+01:00  session-open     7 ppp0 alice 10.0.0.2 02:00:5e:10:00:01 eth1`
pub(super) fn line(event: &Event, screen: Screen) -> String {
    let mut words: Vec<String> = Vec::new();
    if let Some(session) = &event.session {
        words.push(session.id.to_string());
        words.push(session.ifname.clone());
        words.extend(session.username.as_ref().map(Name::to_string));
        words.extend(session.ip.map(|ip| ip.to_string()));
        words.push(session.mac.clone());
        words.push(session.interface.clone());
    }
    words.extend(event.interface.clone());
    words.extend(event.reason.as_ref().map(|reason| format!("({reason})")));
    words.extend(event.detail.clone());
    words.extend(event.duration_s.map(|seconds| format!("after {}", units::duration(seconds))));
    words.extend(event.traffic.map(|traffic| {
        let (up, down) = (units::bytes(traffic.rx_bytes), units::bytes(traffic.tx_bytes));
        format!("received {up}, sent {down}")
    }));
    words.extend(event.caller.map(|caller| format!("by uid {} pid {}", caller.uid, caller.pid)));
    let name = style(event.event).paint(&format!("{:NAME_WIDTH$}", event.event.as_str()), screen.colour);
    let line = format!("{}  {name}  {}", screen.zone.moment(event.time_ms), harmless(&words.join(" ")));
    line.trim_end().to_owned()
}

fn style(event: EventName) -> Style {
    match event {
        EventName::SessionOpen => Style::Good,
        EventName::AuthRefused | EventName::Refused => Style::Bad,
        EventName::SessionEnded => Style::Pending,
        _ => Style::Plain,
    }
}

#[cfg(test)]
mod tests {
    use ppp_ipc::control::EventCaller;

    use super::*;
    use crate::output::samples;

    #[test]
    fn lines() {
        assert_eq!(
            line(&samples::ended(), samples::UTC),
            "2026-11-21 10:31:02.123+00:00  session-ended    7 ppp0 alice 10.0.0.2 02:00:5e:10:00:01 eth1 (admin) by uid 0 with pppctl \
             after 1h02m received 1.5 KiB, sent 4.7 MiB"
        );
        let command = Event {
            event: EventName::Command,
            session: None,
            reason: None,
            duration_s: None,
            traffic: None,
            detail: Some("drain on\nforged".into()),
            caller: Some(EventCaller { uid: 1000, pid: 4711 }),
            ..samples::ended()
        };
        assert_eq!(
            line(&command, samples::UTC),
            r"2026-11-21 10:31:02.123+00:00  command          drain on\nforged by uid 1000 pid 4711"
        );
        let refused = Event { event: EventName::Refused, ..command };
        assert!(
            line(&refused, Screen { colour: true, ..samples::UTC })
                .contains("  \x1b[31mrefused        \x1b[0m  drain on")
        );
    }
}
