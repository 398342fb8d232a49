//! The process: loads scripts, takes calls.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use ppp_ipc::codec::Room;
use ppp_ipc::hooks::{
    Answer, Call, CallError, FileReport, FromHost, Function, Level, Load, PLACE_FD, PLACE_LEN, Question,
    Reply, Returned, SOCKET_FD, SOURCE_FD, Source, ToHost,
};
use ppp_linux::spawn::{set_process_name, take_inherited};
use pppoed_config::hook_scripts;

use super::answer;
use super::link::{Link, LinkError};
use super::script::Script;

/// Address space beside what Lua may take, in bytes: the program, its libraries and what `exec` captures.
const OWN_ADDRESS_SPACE: u64 = 1 << 30;
/// Most bytes of a message about an error, so that it fits into a frame with all else.
const MAX_MESSAGE: usize = 16 << 10;
/// Bytes of a line of log of a script, at most.
const MAX_LOG_LINE: usize = 4096;
/// Memory for Lua while scripts are only checked, in bytes.
const CHECK_MEMORY: usize = 64 << 20;

/// What the functions of all scripts share: the way to `pppoed`, and what is going on.
#[derive(Debug)]
pub(super) struct Host {
    /// None while scripts are only checked.
    link: Option<Link>,
    place: Option<File>,
    /// When the call that is running must be over; none while scripts are loaded.
    deadline: Cell<Option<Instant>>,
}

impl Host {
    /// Whether a function is being called; if not, scripts are being loaded.
    pub(super) fn is_calling(&self) -> bool {
        self.deadline.get().is_some()
    }

    /// Time until the call must be over.
    pub(super) fn time_left(&self) -> Duration {
        self.deadline
            .get()
            .map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Notes where the script is, for who has to kill this process.
    pub(super) fn note_place(&self, file: &str, line: usize) {
        let Some(place) = &self.place else { return };
        let mut note = format!("{file}:{line}\n").into_bytes();
        note.truncate(PLACE_LEN);
        // It is only a help; there is nothing to do about an error.
        let _ = place.write_all_at(&note, 0);
    }

    /// Sends something. Without `pppoed` there is nobody to work for.
    pub(super) fn tell(&self, message: &FromHost) {
        if let Some(link) = &self.link
            && let Err(error) = link.send(message)
        {
            leave(&error);
        }
    }

    /// Asks `pppoed` something. To be called only while a function is called.
    pub(super) fn ask(&self, question: Question) -> Reply {
        match self.link.as_ref().map(|link| link.ask(question)) {
            Some(Ok(reply)) => reply,
            Some(Err(error)) => leave(&error),
            None => Reply::Done(Err("there is no server".to_owned())),
        }
    }

    pub(super) fn log(&self, level: Level, text: &[u8]) {
        let text = text.get(..MAX_LOG_LINE).unwrap_or(text).to_vec();
        match self.link {
            Some(_) => self.tell(&FromHost::Log { level, text }),
            None => eprintln!("{}", ppp_wire::escape::Escaped(&text)),
        }
    }
}

fn leave(error: &LinkError) -> ! {
    if !matches!(error, LinkError::Closed) {
        eprintln!("{error}");
    }
    std::process::exit(i32::from(!matches!(error, LinkError::Closed)))
}

/// The life of a hook host.
pub(super) fn run() -> ExitCode {
    match enter().and_then(|(link, texts, place)| serve(link, &texts, place)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn enter() -> Result<(Link, File, File), LinkError> {
    let other = |error: &dyn std::error::Error| LinkError::Io(std::io::Error::other(error.to_string()));
    let [socket, texts, place] =
        take_inherited([SOCKET_FD, SOURCE_FD, PLACE_FD]).map_err(|error| other(&error))?;
    // Killed without pppoed: what it was about to do would be done a second time by the next one.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| other(&error))?;
    set_process_name("pppoed-hooks")?;
    std::env::set_current_dir("/")?;
    Ok((Link::new(UnixStream::from(socket)), File::from(texts), File::from(place)))
}

fn serve(link: Link, texts: &File, place: File) -> Result<ExitCode, LinkError> {
    let ToHost::Load(load) = link.receive()? else { return Err(LinkError::Unexpected) };
    limit_memory(&load);
    let host = Rc::new(Host { link: Some(link), place: Some(place), deadline: Cell::new(None) });
    let memory_limit = usize::try_from(load.memory_limit).unwrap_or(usize::MAX);
    let scripts = match load_all(sources(&load, texts)?, memory_limit, &host) {
        Ok(scripts) => scripts,
        Err(errors) => {
            let mut room = Room::new();
            let errors = errors.into_iter().take_while(|error| room.take(error)).collect();
            host.tell(&FromHost::LoadFailed(errors));
            return Ok(ExitCode::FAILURE);
        }
    };
    host.tell(&FromHost::Loaded(scripts.iter().map(Script::report).collect()));
    loop {
        let message = match &host.link {
            Some(link) => link.receive(),
            None => Err(LinkError::Closed),
        };
        match message {
            Ok(ToHost::Call(call)) => {
                let returned = fitting(make(&scripts, call, &host));
                host.tell(&FromHost::Returned(Box::new(returned)));
            }
            Ok(ToHost::Load(_) | ToHost::Reply(_)) => return Err(LinkError::Unexpected),
            Err(LinkError::Closed) => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(error),
        }
    }
}

/// The second fence: Lua's own limit is the first.
fn limit_memory(load: &Load) {
    let count = u64::try_from(load.files.len()).unwrap_or(u64::MAX);
    let bytes = load.memory_limit.saturating_mul(count).saturating_add(OWN_ADDRESS_SPACE);
    let limited = getrlimit(Resource::RLIMIT_AS)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_AS, bytes.min(hard), hard));
    if let Err(error) = limited {
        eprintln!("cannot limit the memory: {error}");
    }
}

/// The scripts as `pppoed` has read them.
fn sources(load: &Load, texts: &File) -> std::io::Result<Vec<hook_scripts::Script>> {
    let mut offset = 0;
    let read = |source: &Source| {
        let mut text = vec![0; usize::try_from(source.len).unwrap_or(usize::MAX)];
        texts.read_exact_at(&mut text, offset)?;
        offset += u64::from(source.len);
        Ok(hook_scripts::Script { name: source.name.clone(), text })
    };
    load.files.iter().map(read).collect()
}

fn load_all(
    sources: Vec<hook_scripts::Script>,
    memory_limit: usize,
    host: &Rc<Host>,
) -> Result<Vec<Script>, Vec<String>> {
    let (mut scripts, mut errors) = (Vec::new(), Vec::new());
    for source in sources {
        host.note_place(&source.name, 0);
        match Script::load(source, memory_limit, host) {
            Ok(script) => scripts.push(script),
            Err(error) => errors.push(cut(error)),
        }
    }
    if errors.is_empty() { Ok(scripts) } else { Err(errors) }
}

fn make(scripts: &[Script], call: Call, host: &Host) -> Returned {
    let Some(script) = scripts.get(usize::from(call.file)) else {
        let message = format!("there is no script number {}", call.file);
        return Returned {
            result: Err(CallError { is_nonsense: false, message }),
            shown: None,
            is_worn: false,
        };
    };
    let deadline = Instant::now() + Duration::from_millis(u64::from(call.deadline_ms));
    host.deadline.set(Some(deadline));
    let outcome = script.call(call.function, call.arguments, host);
    host.deadline.set(None);
    let mut is_worn = script.is_worn();
    let mut shown = None;
    let result = match (outcome, call.function) {
        (Ok(None), _) => Ok(Answer::None),
        (Ok(Some(returned)), function) => {
            shown = call.show.then(|| cut(script.show(&returned)));
            match function {
                Function::Every(_) => Ok(Answer::None),
                Function::Event(event) => answer::answer(event, &returned).map_err(|why| {
                    let message = cut(format!("{}: {event}: {why}", script.name()));
                    CallError { is_nonsense: true, message }
                }),
            }
        }
        (Err(error), _) => {
            is_worn |= error.is_out_of_memory;
            Err(CallError { is_nonsense: false, message: cut(error.message) })
        }
    };
    Returned { result, shown, is_worn }
}

/// As it is, if it fits into a frame; else the call has failed for that.
fn fitting(returned: Returned) -> Returned {
    if Room::new().holds(&returned) {
        return returned;
    }
    let message = "it returned more than fits into an answer: fewer or shorter options".to_owned();
    let result = returned.result.and(Err(CallError { is_nonsense: true, message }));
    Returned { result, shown: None, is_worn: returned.is_worn }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Loads scripts in this process, which is good for nothing else afterwards, and tells what is in each.
///
/// # Errors
/// Everything that is wrong, one message with file and line for each.
pub fn check(path: &Path) -> Result<Vec<(String, FileReport)>, Vec<String>> {
    let sources = hook_scripts::scripts(path).map_err(|error| vec![error.to_string()])?;
    let host = Rc::new(Host { link: None, place: None, deadline: Cell::new(None) });
    let scripts = load_all(sources, CHECK_MEMORY, &host)?;
    Ok(scripts.iter().map(|script| (script.name().to_owned(), script.report())).collect())
}
