//! The options that hold for a session, as they stand in its record.

use pppoed_config::options::{OctetDirection, SessionOptions};
use pppoed_config::origin::{Origin, Sourced};

use crate::record::OptionItem;

/// Options as they stand in a record.
pub fn items(options: &SessionOptions) -> Vec<OptionItem> {
    let mut items = Vec::new();
    items.extend(options.idle.as_ref().map(|idle| OptionItem::Idle(idle.value)));
    items.extend(options.maxconnect.as_ref().map(|time| OptionItem::MaxConnect(time.value)));
    // What an older pppoed can read, if it has to.
    items.extend(options.maxoctets.as_ref().map(|bytes| match u32::try_from(bytes.value) {
        Ok(bytes) => OptionItem::MaxOctets(bytes),
        Err(_) => OptionItem::MaxOctets64(bytes.value),
    }));
    items.extend(options.mo_direction.as_ref().map(|direction| {
        OptionItem::MoDirection(match direction.value {
            OctetDirection::In => 0,
            OctetDirection::Max => 1,
            OctetDirection::Out => 2,
            OctetDirection::Sum => 3,
        })
    }));
    items.extend(options.mo_timeout.as_ref().map(|time| OptionItem::MoTimeout(time.value)));
    items.extend(options.mtu.as_ref().map(|mtu| OptionItem::Mtu(mtu.value)));
    items.extend(options.ms_dns.iter().map(|server| OptionItem::MsDns(server.value)));
    items.extend(options.ms_wins.iter().map(|server| OptionItem::MsWins(server.value)));
    items.extend(options.proxyarp.as_ref().map(|proxyarp| OptionItem::ProxyArp(proxyarp.value)));
    items.extend(options.ipparam.as_ref().map(|ipparam| OptionItem::IpParam(ipparam.value.clone())));
    items.extend(options.environment.iter().map(|(name, value)| {
        OptionItem::Environment(name.clone(), value.as_ref().map(|value| value.value.clone()))
    }));
    items.extend(options.source_check.as_ref().map(|check| OptionItem::SourceCheck(check.value)));
    items
}

/// What [`items`] said; where the options were set is not known any more.
pub fn restore(items: Vec<OptionItem>) -> SessionOptions {
    fn earlier<T>(value: T) -> Sourced<T> {
        Sourced::new(value, Origin::Earlier)
    }
    let mut options = SessionOptions::default();
    for item in items {
        match item {
            OptionItem::Idle(seconds) => options.idle = Some(earlier(seconds)),
            OptionItem::MaxConnect(seconds) => options.maxconnect = Some(earlier(seconds)),
            OptionItem::MaxOctets(bytes) => options.maxoctets = Some(earlier(bytes.into())),
            OptionItem::MaxOctets64(bytes) => options.maxoctets = Some(earlier(bytes)),
            OptionItem::MoDirection(number) => {
                let direction = match number {
                    0 => OctetDirection::In,
                    1 => OctetDirection::Max,
                    2 => OctetDirection::Out,
                    _ => OctetDirection::Sum,
                };
                options.mo_direction = Some(earlier(direction));
            }
            OptionItem::MoTimeout(seconds) => options.mo_timeout = Some(earlier(seconds)),
            OptionItem::Mtu(bytes) => options.mtu = Some(earlier(bytes)),
            OptionItem::MsDns(server) => options.ms_dns.push(earlier(server)),
            OptionItem::MsWins(server) => options.ms_wins.push(earlier(server)),
            OptionItem::ProxyArp(is_on) => options.proxyarp = Some(earlier(is_on)),
            OptionItem::SourceCheck(is_on) => options.source_check = Some(earlier(is_on)),
            OptionItem::IpParam(word) => options.ipparam = Some(earlier(word)),
            OptionItem::Environment(name, value) => {
                options.environment.insert(name, value.map(earlier));
            }
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{self, Item};

    #[test]
    fn a_quota_comes_back_whatever_its_size() {
        for (bytes, item) in [
            (u64::from(u32::MAX), OptionItem::MaxOctets(u32::MAX)),
            (1 << 32, OptionItem::MaxOctets64(1 << 32)),
        ] {
            let options = restore(vec![item.clone()]);
            assert_eq!(options.maxoctets.as_ref().map(|maxoctets| maxoctets.value), Some(bytes));
            assert_eq!(super::items(&options), [item]);
        }
    }

    #[test]
    fn options_come_back() {
        let all = record::tests::everything()
            .into_iter()
            .find_map(|item| match item {
                Item::Options(items) => Some(items),
                _ => None,
            })
            .unwrap();
        assert_eq!(items(&restore(all.clone())), all);
        assert_eq!(items(&SessionOptions::default()), []);
    }
}
