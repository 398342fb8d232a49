//! An event on one line, for people.

use std::time::Duration;

use ppp_ipc::control::{Event, EventName};

use super::{printable, style::Style, units};

/// Width of the longest name of an event.
const NAME_WIDTH: usize = 15;

/// `10:31:02.123  session-open     7 ppp0 alice 10.0.0.2 02:00:5e:10:00:01 eth1`
pub(super) fn line(event: &Event, colour: bool) -> String {
    let mut words: Vec<String> = Vec::new();
    if let Some(session) = &event.session {
        words.push(session.id.to_string());
        words.push(session.ifname.clone());
        words.extend(session.username.clone());
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
    let name = style(event.event).paint(&format!("{:NAME_WIDTH$}", event.event.as_str()), colour);
    let line = format!("{}  {name}  {}", time_of_day(event.time_ms), printable(&words.join(" ")));
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

/// The time of day, UTC, to the millisecond.
pub(super) fn time_of_day(ms_since_1970: u64) -> String {
    let time = Duration::from_millis(ms_since_1970);
    let second = time.as_secs() % (24 * 60 * 60);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{hour:02}:{minute:02}:{:02}.{:03}", second % 60, time.subsec_millis())
}

#[cfg(test)]
mod tests {
    use ppp_ipc::control::EventCaller;

    use super::*;
    use crate::output::samples;

    #[test]
    fn lines() {
        assert_eq!(
            line(&samples::ended(), false),
            "10:31:02.123  session-ended    7 ppp0 alice 10.0.0.2 02:00:5e:10:00:01 eth1 (admin) by uid 0 with pppctl \
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
            line(&command, false),
            r"10:31:02.123  command          drain on\nforged by uid 1000 pid 4711"
        );
        let refused = Event { event: EventName::Refused, ..command };
        assert!(line(&refused, true).contains("  \x1b[31mrefused        \x1b[0m  drain on"));
    }
}
