//! Every function that deals with sessions, and every script that ships, with one session and with ten thousand: against a
//! server with so many, through frames as they are, in the memory that hooks have by themselves.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ppp_ipc::codec::Room;
use ppp_ipc::hooks::{
    Argument, CallError, Event, Field, Function, Question, Reply, Returned, SessionFields, StoreValue, Value,
    Which,
};

use crate::host::Host;
use crate::shipped::script;

/// The default of `--hook-memory`.
const MEMORY: u64 = 64 << 20;
/// More than the default of `--hook-deadline`, for a host that is built without optimization, on a machine that does more.
const DEADLINE: Duration = Duration::from_secs(100);
/// Sessions in one answer, at most.
const PAGE: usize = 50;

const COUNTS: [u16; 4] = [1, 31, 1000, 10_000];

/// All that the server has.
#[derive(Default)]
struct Server {
    sessions: Vec<SessionFields>,
    store: BTreeMap<Vec<u8>, StoreValue>,
    ended: usize,
    rates: usize,
}

fn sid(id: u16) -> String {
    format!("5c1f9a0e{id:08x}")
}

/// A session with as many fields as one has, and texts as long as they are.
fn session(id: u16) -> SessionFields {
    let [high, low] = id.to_be_bytes();
    let mut fields: Vec<Field> = vec![
        ("id".to_owned(), Value::Integer(id.into())),
        ("sid".to_owned(), sid(id).into()),
        ("state".to_owned(), "open".into()),
        ("ifname".to_owned(), format!("ppp{id}").into()),
        ("interface".to_owned(), "enp175s0f3np31".into()),
        ("username".to_owned(), format!("subscriber-{id}@isp.example.net").into()),
        ("mac".to_owned(), format!("02:00:5e:10:{high:02x}:{low:02x}").into()),
        ("iplocal".to_owned(), "10.0.0.1".into()),
        ("ipremote".to_owned(), format!("10.1.{high}.{low}").into()),
        ("circuit_id".to_owned(), format!("access-node-7 eth 1/2/3:{id}").into()),
        ("rx_bytes".to_owned(), Value::Integer(i64::MAX - i64::from(id))),
        ("env".to_owned(), Value::Table(vec![(b"CLASS".to_vec(), b"gold".to_vec())])),
        ("scripts".to_owned(), Value::Table(Vec::new())),
    ];
    let others = 0..78 - fields.len();
    fields.extend(others.map(|number| match number % 3 {
        0 => (format!("other{number}"), Value::Boolean(true)),
        1 => (format!("other{number}"), Value::Integer(1500)),
        _ => (format!("other{number}"), "02:00:5e:10:00:01".into()),
    }));
    SessionFields { id, fields }
}

impl Server {
    fn with(count: u16) -> Rc<RefCell<Self>> {
        let sessions = (1..=count).map(session).collect();
        Rc::new(RefCell::new(Self { sessions, ..Self::default() }))
    }

    fn find(&self, which: &Which) -> Option<&SessionFields> {
        let id = match which {
            Which::Id(id) => *id,
            Which::Sid(sid) => u16::from_str_radix(sid.get(12..)?, 16).ok()?,
        };
        self.sessions.get(usize::from(id) - 1)
    }

    fn answer(&mut self, question: &Question) -> Reply {
        match question {
            Question::Sessions { after, fields } => {
                let mut room = Room::new();
                let first = usize::from(*after).min(self.sessions.len());
                let mut page = Vec::new();
                for session in self.sessions.get(first..).unwrap() {
                    let wanted =
                        session.fields.iter().filter(|(name, _)| fields.is_empty() || fields.contains(name));
                    let session = SessionFields { id: session.id, fields: wanted.cloned().collect() };
                    if page.len() == PAGE || !room.take(&session) {
                        return Reply::Sessions { sessions: page, more: true };
                    }
                    page.push(session);
                }
                Reply::Sessions { sessions: page, more: false }
            }
            Question::Session(which) => {
                Reply::Sessions { sessions: self.find(which).cloned().into_iter().collect(), more: false }
            }
            Question::Terminate { which, .. } => {
                self.ended += usize::from(self.find(which).is_some());
                Reply::Done(Ok(()))
            }
            Question::SetRate { which, .. } => {
                self.rates += usize::from(self.find(which).is_some());
                Reply::Done(Ok(()))
            }
            Question::StoreGet(key) => Reply::Value(self.store.get(key).cloned()),
            Question::StoreSet(key, value) => {
                match value {
                    Some(value) => self.store.insert(key.clone(), value.clone()),
                    None => self.store.remove(key),
                };
                Reply::Done(Ok(()))
            }
            Question::StoreAdd(..) => Reply::Value(Some(StoreValue::Integer(1))),
            Question::StoreKeys { prefix, after } => {
                let (mut keys, mut room) = (Vec::new(), Room::new());
                for key in self.store.keys().filter(|key| key.starts_with(prefix)) {
                    if after.as_ref().is_some_and(|after| key <= after) {
                        continue;
                    }
                    if !room.take(key) {
                        return Reply::Keys { keys, more: true };
                    }
                    keys.push(key.clone());
                }
                Reply::Keys { keys, more: false }
            }
        }
    }
}

/// A host with this script, and the server that it asks.
fn host(source: &str, count: u16) -> (Host, Rc<RefCell<Server>>) {
    let (mut host, _) = Host::start_with(&[("test.lua", source)], MEMORY).unwrap();
    let server = Server::with(count);
    let asked = server.clone();
    host.answers = Some(Box::new(move |question| asked.borrow_mut().answer(question)));
    (host, server)
}

fn run(host: &mut Host, function: Function, arguments: &[Field], what: &str) -> Returned {
    let begun = Instant::now();
    host.begin(function, vec![Argument::Table(arguments.to_vec())], DEADLINE);
    let returned = host.finish().unwrap_or_else(|| panic!("{what}: the host died"));
    assert!(!returned.is_worn, "{what}: out of memory");
    assert!(begun.elapsed() < DEADLINE, "{what}: it took {:?}", begun.elapsed());
    returned
}

fn succeeds(host: &mut Host, function: Function, arguments: &[Field], what: &str) -> String {
    let returned = run(host, function, arguments, what);
    returned.result.unwrap_or_else(|CallError { message, .. }| panic!("{what}: {message}"));
    returned.shown.unwrap_or_default()
}

#[test]
fn every_function_takes_any_number_of_sessions() {
    for count in COUNTS {
        for (body, expected) in [
            (
                "local all = sessions() return #all, all[#all].sid, all[1].env.CLASS",
                "{n}, \"{sid}\", \"gold\"",
            ),
            (
                "local all = sessions { 'sid' } return #all, all[#all].sid, all[1].id == nil",
                "{n}, \"{sid}\", true",
            ),
            (
                "local n, last = 0 for s in each_session() do n, last = n + 1, s.sid end return n, last",
                "{n}, \"{sid}\"",
            ),
            ("local n = 0 for s in each_session { 'id' } do n = n + s.id end return n", "{sum}"),
            (
                "local n = 0 for s in each_session { 'id' } do if s.id % 100 == 1 then n = n + session(s.id).id end end \
                 return n",
                "{hundredth}",
            ),
            ("for s in each_session { 'sid' } do assert(terminate(s.sid, 'bye')) end return true", "true"),
            ("for s in each_session { 'sid' } do assert(set_rate(s.sid, 7, 7)) end return true", "true"),
            ("for s in each_session { 'sid' } do store.set(s.sid, s.sid) end return #store.keys()", "{n}"),
        ] {
            let (mut host, server) = host(&format!("function ip_up() {body} end"), count);
            let shown = succeeds(&mut host, Function::Event(Event::IpUp), &[], body);
            let sum: u64 = (1..=u64::from(count)).sum();
            let expected = expected
                .replace("{n}", &count.to_string())
                .replace("{sum}", &sum.to_string())
                .replace("{hundredth}", &(1..=u64::from(count)).step_by(100).sum::<u64>().to_string())
                .replace("{sid}", &sid(count));
            assert_eq!(shown, expected, "{body} with {count} sessions");
            let server = server.borrow();
            let touched = usize::from(count);
            assert_eq!(server.ended, if body.contains("terminate") { touched } else { 0 });
            assert_eq!(server.rates, if body.contains("set_rate") { touched } else { 0 });
        }
    }
}

/// The settings with which a script does something with each session, and writes nothing outside of `directory`.
fn settings(name: &str, directory: &Path) -> Vec<(&'static str, String)> {
    let file = directory.join("accounts.json");
    match name {
        "accounting.lua" => vec![(
            "local FILE = \"/var/log/pppoed-accounting.json\"",
            format!("local FILE = \"{}\"", file.display()),
        )],
        "nat.lua" => vec![("local FORWARD = true", "local FORWARD = false".to_owned())],
        "deny-and-hours.lua" => vec![("local HOURS = nil\n", "local HOURS = {}\n".to_owned())],
        _ => Vec::new(),
    }
}

/// In place of the real one, which would change this machine's rules: notes what is to be run.
const NFT: &str = "local ran = 0
nft = function()
  local rules = { run = function() ran = ran + 1 return true end }
  rules.add_element = function(_, _, _, _, ...) for _, e in ipairs { ... } do elements = (elements or 0) + 1 end end
  return setmetatable(rules, { __index = function() return function() end end })
end
";

#[test]
fn every_script_that_ships_takes_any_number_of_sessions() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts");
    let names = fs::read_dir(scripts).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".lua")).collect();
    names.sort();
    for (name, count) in names.iter().flat_map(|name| COUNTS.map(|count| (name, count))) {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(name, directory.path());
        let settings: Vec<(&str, &str)> = settings.iter().map(|(old, new)| (*old, new.as_str())).collect();
        let source =
            format!("{NFT}{}\nfunction session_change() return elements end", script(name, &settings));
        let (_, reports) = Host::start(&[(name, &source)]).unwrap();
        let (mut host, server) = host(&source, count);
        let what = |which: &str| format!("{which} of {name} with {count} sessions");
        // All start, if the script wants to know that.
        if name == "accounting.lua" {
            let sessions: Vec<SessionFields> = server.borrow().sessions.clone();
            for session in &sessions {
                succeeds(&mut host, Function::Event(Event::IpUp), &session.fields, &what("ip_up"));
            }
        }
        for event in [Event::ServerStart, Event::Reload] {
            if reports[0].events.contains(&event) {
                succeeds(&mut host, Function::Event(event), &[], &what(event.as_str()));
            }
        }
        for number in 0..reports[0].every.len() {
            let function = Function::Every(number.try_into().unwrap());
            succeeds(&mut host, function, &[], &what("every"));
        }
        let touched = usize::from(count);
        match name.as_str() {
            "nat.lua" => {
                let shown = succeeds(&mut host, Function::Event(Event::SessionChange), &[], name);
                assert_eq!(shown, (3 * count).to_string(), "server_start, reload and every");
            }
            "accounting.lua" => {
                let text = fs::read_to_string(directory.path().join("accounts.json")).unwrap();
                let of = |event: &str| text.matches(&format!(r#""event":"{event}""#)).count();
                assert_eq!(
                    (of("start"), of("interim"), of("stop")),
                    (touched, touched, 0),
                    "{}",
                    what("all")
                );
            }
            "rate-limit.lua" => assert_eq!(server.borrow().rates, touched, "{}", what("reload")),
            "deny-and-hours.lua" => assert_eq!(server.borrow().ended, touched, "{}", what("every")),
            _ => {}
        }
    }
}
