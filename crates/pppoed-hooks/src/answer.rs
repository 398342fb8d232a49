//! What functions return, checked. What does not fit is an error of the script, and never guessed at.

use std::net::Ipv4Addr;
use std::path::Path;
use std::str::FromStr;

use mlua::{LuaString, MultiValue, Table, Value};
use ppp_ipc::hooks::{Answer, AuthAnswer, Event, Secret};
use pppoed_config::options::{OptionError, UserWord, parse_user_options};
use pppoed_config::origin::Place;

/// Most bytes of a message to the peer: one byte tells its length (RFC 1334 §2.2.2), and other ends take less.
const MAX_MESSAGE: usize = 200;
/// Most bytes of a secret, as in a secrets file.
const MAX_SECRET: usize = 256;
/// Most words of `options`, and most bytes of each.
const MAX_OPTIONS: usize = 64;
const MAX_OPTION: usize = 1024;
/// Longest delay of an offer in milliseconds; less is possible with most lifetimes of cookies.
const MAX_DELAY: i64 = 150_000;

/// Why an answer makes no sense.
type Nonsense = String;

/// What the function of `event` returned.
///
/// # Errors
/// What is wrong, with the field if there is one.
pub(super) fn answer(event: Event, returned: &MultiValue) -> Result<Answer, Nonsense> {
    let first = returned.front().unwrap_or(&Value::Nil);
    let second = returned.get(1).unwrap_or(&Value::Nil);
    match (event, first) {
        _ if !event.is_question() => Ok(Answer::None),
        (_, Value::Nil) => Ok(Answer::None),
        (Event::Padi, Value::Boolean(true)) | (Event::IpPreUp, Value::Boolean(true)) => Ok(Answer::None),
        (Event::Padi, Value::Boolean(false)) => Ok(Answer::Silence),
        (Event::Padi, Value::Integer(_) | Value::Number(_)) => {
            let delay = whole(first, 0, MAX_DELAY).map_err(|why| format!("the delay in milliseconds {why}"))?;
            Ok(Answer::Delay(u32::try_from(delay).unwrap_or(u32::MAX)))
        }
        (_, Value::Boolean(false)) => Ok(Answer::Deny(message(second)?)),
        (Event::Auth, Value::Boolean(true)) => Err(
            "true says nothing: return {accept = true} to let the peer in whatever its proof, or nothing to have the \
             secrets files decide"
                .to_owned(),
        ),
        (Event::Auth, Value::Table(table)) => Ok(Answer::Auth(Box::new(settings(table)?))),
        (Event::Auth, other) => Err(format!("it returned a {}, not a table, false or nothing", other.type_name())),
        (_, other) => Err(format!("it returned a {}, not true, false or nothing", other.type_name())),
    }
}

fn message(value: &Value) -> Result<Option<Vec<u8>>, Nonsense> {
    match value {
        Value::Nil => Ok(None),
        Value::String(text) if text.as_bytes().len() <= MAX_MESSAGE => Ok(Some(text.as_bytes().to_vec())),
        Value::String(text) => Err(format!(
            "the message after false has {} bytes, which exceeds the maximum of {MAX_MESSAGE}",
            text.as_bytes().len()
        )),
        other => Err(format!("the message behind false is a {}, not a string", other.type_name())),
    }
}

fn settings(table: &Table) -> Result<AuthAnswer, Nonsense> {
    let mut answer = AuthAnswer::default();
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair.map_err(|error| error.to_string())?;
        let Value::String(name) = name else {
            return Err(format!("a field has a {} for a name", name.type_name()));
        };
        let name = name.to_string_lossy();
        setting(&mut answer, &name, &value).map_err(|why| format!("field {name:?} {why}"))?;
    }
    if answer.accept && answer.secret.is_some() {
        return Err("it has \"accept\", which lets the peer in whatever its proof, and \"secret\"".to_owned());
    }
    if answer.address.is_some() && answer.pool.is_some() {
        return Err("it has both \"address\" and \"pool\"".to_owned());
    }
    // Tables have no order; what is sent and logged should have one.
    answer.options.sort();
    Ok(answer)
}

fn setting(answer: &mut AuthAnswer, name: &str, value: &Value) -> Result<(), Nonsense> {
    let number = |value: &Value| whole(value, 0, i64::MAX).map(|number| number.to_string());
    match name {
        "accept" => match value {
            Value::Boolean(accept) => answer.accept = *accept,
            other => return Err(format!("is a {}, not a boolean", other.type_name())),
        },
        "secret" => {
            let secret = string(value)?;
            let length = secret.as_bytes().len();
            if length == 0 || length > MAX_SECRET {
                return Err(format!("has {length} bytes; 1 to {MAX_SECRET} are possible"));
            }
            answer.secret = Some(Secret(secret.as_bytes().to_vec()));
        }
        "address" => answer.address = Some(host(value)?),
        "pool" => answer.pool = Some(pool(&string(value)?.to_string_lossy())?),
        "dns" => answer.options.extend(servers(b"ms-dns", value)?),
        "wins" => answer.options.extend(servers(b"ms-wins", value)?),
        "session_timeout" => answer.options.push(words("maxconnect", &number(value)?)?),
        "idle_timeout" => answer.options.push(words("idle", &number(value)?)?),
        "quota" => answer.options.push(words("maxoctets", &quantity(value)?)?),
        "mtu" => answer.options.push(words("mtu", &number(value)?)?),
        "rate" => answer.options.extend(rate(value)?),
        "options" => answer.options.push(checked(list(value)?)?),
        _ => return Err("is not one that auth may return".to_owned()),
    }
    Ok(())
}

fn words(option: &str, value: &str) -> Result<Vec<Vec<u8>>, Nonsense> {
    checked(vec![option.as_bytes().to_vec(), value.as_bytes().to_vec()])
}

/// Whether a user's line could have these options: so that a script is told what is wrong with its answer, and not the user.
fn checked(words: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Nonsense> {
    let place = || Place::new(Path::new("options").into(), 0);
    let all: Vec<UserWord<'_>> = words.iter().map(|word| UserWord { bytes: word, place: place() }).collect();
    let (_, errors, _) = parse_user_options(&all);
    match errors.into_iter().next() {
        None => Ok(words),
        Some(OptionError::BadValue { option, value, why, .. }) => {
            Err(format!("makes the option {option} {value:?}: {why}"))
        }
        Some(error) => Err(format!("results in an invalid option: {error}")),
    }
}

/// A number, or a text with a unit.
fn quantity(value: &Value) -> Result<String, Nonsense> {
    match value {
        Value::String(text) => Ok(text.to_string_lossy()),
        other => whole(other, 0, i64::MAX).map(|number| number.to_string()),
    }
}

/// `{down = …, up = …}` in kbit/s, or with a unit.
fn rate(value: &Value) -> Result<Vec<Vec<Vec<u8>>>, Nonsense> {
    let Value::Table(table) = value else {
        return Err(format!("is a {}, not a table with down and up", value.type_name()));
    };
    let mut options = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair.map_err(|error| error.to_string())?;
        let option = match &name {
            Value::String(name) if *name.as_bytes() == *b"down" => "rate-down",
            Value::String(name) if *name.as_bytes() == *b"up" => "rate-up",
            _ => return Err("may have \"down\" and \"up\", and nothing else".to_owned()),
        };
        let rate = quantity(&value).map_err(|why| format!("{option}: {why}"))?;
        options.push(words(option, &rate)?);
    }
    Ok(options)
}

fn string(value: &Value) -> Result<&LuaString, Nonsense> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(format!("is a {}, not a string", other.type_name())),
    }
}

fn whole(value: &Value, least: i64, most: i64) -> Result<i64, Nonsense> {
    let number = match value {
        Value::Integer(number) => Some(*number),
        // 1e3 is a float in Lua.
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            number.to_string().parse().ok()
        }
        Value::Number(_) => None,
        other => return Err(format!("is a {}, not a number", other.type_name())),
    };
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("must be a number from {least} to {most}"))
}

fn host(value: &Value) -> Result<Ipv4Addr, Nonsense> {
    let text = string(value)?.to_string_lossy();
    Ipv4Addr::from_str(&text).map_err(|_| format!("is {text:?}, not an IPv4 address"))
}

/// `a.b.c.d-e.f.g.h`, or `a.b.c.d/n` without the first and the last address, which may mean a network and its broadcast.
fn pool(text: &str) -> Result<(Ipv4Addr, Ipv4Addr), Nonsense> {
    let wrong = || {
        format!("is {text:?}, not a range such as 192.0.2.10-192.0.2.99 or a network such as 192.0.2.0/24")
    };
    let address = |text: &str| text.parse::<Ipv4Addr>().map_err(|_| wrong());
    let (first, last) = match (text.split_once('-'), text.split_once('/')) {
        (Some((first, last)), None) => (address(first)?, address(last)?),
        (None, Some((network, bits))) => {
            let bits: u32 = bits.parse().ok().filter(|bits| (8..=30).contains(bits)).ok_or_else(wrong)?;
            let hosts = u32::MAX.checked_shr(bits).unwrap_or(0);
            let network = address(network)?.to_bits();
            if network & hosts != 0 {
                return Err(format!("is {text:?}, which has bits behind the first {bits}"));
            }
            (Ipv4Addr::from_bits(network + 1), Ipv4Addr::from_bits((network | hosts) - 1))
        }
        _ => return Err(wrong()),
    };
    if first > last {
        return Err(wrong());
    }
    Ok((first, last))
}

fn servers(option: &[u8], value: &Value) -> Result<Vec<Vec<Vec<u8>>>, Nonsense> {
    let Value::Table(table) = value else {
        return Err(format!("is a {}, not a list of addresses", value.type_name()));
    };
    let addresses: Vec<Value> =
        table.sequence_values().collect::<mlua::Result<_>>().map_err(|error| error.to_string())?;
    if !(1..=2).contains(&addresses.len()) {
        return Err(format!("has {} addresses; one or two are possible", addresses.len()));
    }
    // In one group, so that their order stays.
    let mut group = Vec::new();
    for address in &addresses {
        group.push(option.to_vec());
        group.push(host(address)?.to_string().into_bytes());
    }
    Ok(vec![group])
}

fn list(value: &Value) -> Result<Vec<Vec<u8>>, Nonsense> {
    let Value::Table(table) = value else {
        return Err(format!("is a {}, not a list of words", value.type_name()));
    };
    let mut words = Vec::new();
    for word in table.sequence_values::<Value>() {
        let word = match word.map_err(|error| error.to_string())? {
            Value::String(text) => text.as_bytes().to_vec(),
            Value::Integer(number) => number.to_string().into_bytes(),
            other => return Err(format!("has a {} among its words", other.type_name())),
        };
        if word.len() > MAX_OPTION || words.len() == MAX_OPTIONS {
            return Err(format!("has more than {MAX_OPTIONS} words, or one of more than {MAX_OPTION} bytes"));
        }
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(event: Event, expression: &str) -> Result<Answer, Nonsense> {
        let lua = mlua::Lua::new();
        answer(event, &lua.load(format!("return {expression}")).eval().unwrap())
    }

    fn auth(expression: &str) -> AuthAnswer {
        match ask(Event::Auth, expression).unwrap() {
            Answer::Auth(answer) => *answer,
            other => panic!("{expression}: {other:?}"),
        }
    }

    #[test]
    fn simple_answers() {
        for (event, expression, expected) in [
            (Event::Padi, "nil", Answer::None),
            (Event::Padi, "", Answer::None),
            (Event::Padi, "true", Answer::None),
            (Event::Padi, "false", Answer::Silence),
            (Event::Padi, "250", Answer::Delay(250)),
            (Event::Padi, "1e3", Answer::Delay(1000)),
            (Event::IpPreUp, "true", Answer::None),
            (Event::IpPreUp, "false", Answer::Deny(None)),
            (Event::IpPreUp, "false, 'no'", Answer::Deny(Some(b"no".to_vec()))),
            (Event::Auth, "false, 'closed'", Answer::Deny(Some(b"closed".to_vec()))),
            (Event::IpUp, "{}, 7, 'whatever'", Answer::None),
        ] {
            assert_eq!(ask(event, expression), Ok(expected), "{event} {expression}");
        }
    }

    #[test]
    fn settings_become_options() {
        let answer = auth(
            "{secret = 'x', address = '192.0.2.7', dns = {'1.1.1.1', '9.9.9.9'}, idle_timeout = 60, \
             session_timeout = 3600, quota = 1000, mtu = 1400, rate = {down = 9000, up = 800}, options = {'set', 'A=b', 'idle', 5}}",
        );
        assert_eq!(answer.secret, Some(Secret(b"x".to_vec())));
        assert_eq!(answer.address, Some([192, 0, 2, 7].into()));
        let options: Vec<String> =
            answer.options.iter().map(|words| String::from_utf8(words.join(&b' ')).unwrap()).collect();
        let expected = [
            "idle 60",
            "maxconnect 3600",
            "maxoctets 1000",
            "ms-dns 1.1.1.1 ms-dns 9.9.9.9",
            "mtu 1400",
            "rate-down 9000",
            "rate-up 800",
            "set A=b idle 5",
        ];
        assert_eq!(options, expected);
        let quota = |text: &str| auth(&format!("{{quota = {text}}}")).options[0][1].clone();
        assert_eq!(quota("'50G'"), b"50G");
        assert_eq!(quota("50 * 1024^3"), b"53687091200");
        assert_eq!(quota("4294967296"), b"4294967296");
        assert_eq!(auth("{rate = {down = '10M'}}").options[0], [b"rate-down".to_vec(), b"10M".to_vec()]);
        assert!(auth("{accept = true}").accept);
        assert_eq!(auth("{}"), AuthAnswer::default());
        let range = |first: [u8; 4], last: [u8; 4]| Some((first.into(), last.into()));
        assert_eq!(auth("{pool = '192.0.2.0/24'}").pool, range([192, 0, 2, 1], [192, 0, 2, 254]));
        assert_eq!(auth("{pool = '192.0.2.4/30'}").pool, range([192, 0, 2, 5], [192, 0, 2, 6]));
        assert_eq!(auth("{pool = '192.0.2.9-192.0.2.9'}").pool, range([192, 0, 2, 9], [192, 0, 2, 9]));
    }

    #[test]
    fn nonsense_is_named() {
        for (event, expression, expected) in [
            (Event::Padi, "'yes'", "it returned a string, not true, false or nothing"),
            (Event::Padi, "-1", "the delay in milliseconds must be a number from 0 to 150000"),
            (Event::Padi, "0.5", "the delay in milliseconds must be a number from 0 to 150000"),
            (Event::IpPreUp, "{}", "it returned a table, not true, false or nothing"),
            (Event::IpPreUp, "false, {}", "the message behind false is a table, not a string"),
            (Event::Auth, "true", "true says nothing: return {accept = true}"),
            (Event::Auth, "7", "it returned a integer, not a table, false or nothing"),
            (Event::Auth, "{addres = '1.2.3.4'}", "field \"addres\" is not one that auth may return"),
            (Event::Auth, "{address = '1.2.3'}", "field \"address\" is \"1.2.3\", not an IPv4 address"),
            (Event::Auth, "{address = 7}", "field \"address\" is a integer, not a string"),
            (Event::Auth, "{1}", "a field has a integer for a name"),
            (Event::Auth, "{accept = 1}", "field \"accept\" is a integer, not a boolean"),
            (Event::Auth, "{accept = true, secret = 'x'}", "it has \"accept\""),
            (Event::Auth, "{secret = ''}", "field \"secret\" has 0 bytes"),
            (Event::Auth, "{pool = '192.0.2.1/24'}", "field \"pool\" is \"192.0.2.1/24\", which has bits"),
            (Event::Auth, "{pool = '192.0.2.9-192.0.2.1'}", "field \"pool\" is"),
            (Event::Auth, "{pool = '0.0.0.0/0'}", "field \"pool\" is"),
            (Event::Auth, "{rate = 7}", "field \"rate\" is a integer, not a table"),
            (Event::Auth, "{rate = {dwn = 7}}", "field \"rate\" may have"),
            (Event::Auth, "{dns = {}}", "field \"dns\" has 0 addresses; one or two are possible"),
            (Event::Auth, "{idle_timeout = -1}", "field \"idle_timeout\" must be a number from 0"),
            (Event::Auth, "{idle_timeout = 1e300}", "field \"idle_timeout\" must be a number from 0"),
            (
                Event::Auth,
                "{idle_timeout = 3000000000}",
                "field \"idle_timeout\" makes the option idle \"3000000000\": must be",
            ),
            (
                Event::Auth,
                "{mtu = 68}",
                "field \"mtu\" makes the option mtu \"68\": must be between 128 and 1500",
            ),
            (
                Event::Auth,
                "{quota = '50GB'}",
                "field \"quota\" makes the option maxoctets \"50GB\": GB, MB and similar units",
            ),
            (
                Event::Auth,
                "{rate = {down = 'fast'}}",
                "field \"rate\" makes the option rate-down \"fast\": not a rate",
            ),
            (Event::Auth, "{options = {'idel', 5}}", "field \"options\" results in an invalid option"),
            (Event::Auth, "{options = {{}}}", "field \"options\" has a table among its words"),
        ] {
            let nonsense = ask(event, expression).unwrap_err();
            assert!(nonsense.starts_with(expected), "{expression}: {nonsense}");
        }
        let long = format!("false, '{}'", "x".repeat(MAX_MESSAGE + 1));
        assert!(ask(Event::Auth, &long).unwrap_err().contains("201 bytes"));
        ask(Event::Auth, &format!("false, '{}'", "x".repeat(MAX_MESSAGE))).unwrap();
    }
}
