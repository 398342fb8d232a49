//! Lists of MAC addresses: who is served, and who is not.
//!
//! One address to a line, `aa:bb:cc:dd:ee:ff`, `aa-bb-cc-dd-ee-ff` or `aabb.ccdd.eeff`; `#` begins a comment; empty lines
//! are nothing.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ppp_wire::MacAddr;
use ppp_wire::escape::Escaped;

use crate::files::{self, Stamp};
use crate::origin::Place;

/// Most bytes read of a list: some 200,000 addresses.
const MAX_FILE: u64 = 4 << 20;
/// Mistakes of a list that are told one by one: the file may be something else altogether.
const MAX_ERRORS: usize = 100;

/// What there is to say where [`MacRules::serve_nobody`].
pub const NOBODY_ALLOWED: &str =
    "the list of MAC addresses that are served (--mac-allow) is empty, so nobody is served";

/// The files that [`MacRules`] are read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MacFiles {
    /// The only ones that are served.
    pub allow: Option<PathBuf>,
    /// Those that are not served.
    pub deny: Option<PathBuf>,
}

/// Which of both files are in which state. `None` for one that there is not.
pub type Stamps = [Option<Stamp>; 2];

/// Who is served. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MacRules {
    allow: Option<Arc<BTreeSet<MacAddr>>>,
    deny: Arc<BTreeSet<MacAddr>>,
    console: ConsoleMacs,
}

/// The lists of consoles, which go over those of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsoleMacs {
    /// Who is served whatever files say.
    pub allow: Arc<BTreeSet<MacAddr>>,
    /// Who is not served.
    pub deny: Arc<BTreeSet<MacAddr>>,
}

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MacListError {
    /// A line is not an address.
    #[error("{place}: \"{text}\" is not a MAC address such as 02:00:5e:10:00:01")]
    BadAddress {
        /// The line.
        place: Place,
        /// What is there.
        text: String,
    },
    /// A line has an address that stands for many stations.
    #[error("{place}: {mac} is not a unicast MAC address")]
    Group {
        /// The line.
        place: Place,
        /// The address.
        mac: MacAddr,
    },
    /// There are more mistakes than are told one by one.
    #[error("{}: {more} more lines are not a MAC address", file.display())]
    More {
        /// The file.
        file: Arc<Path>,
        /// How many.
        more: usize,
    },
    /// It cannot be read.
    #[error("cannot read the list of MAC addresses {path:?}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl MacFiles {
    /// Whether there is any list.
    pub fn is_empty(&self) -> bool {
        self.allow.is_none() && self.deny.is_none()
    }

    /// Reads both lists. May block.
    ///
    /// # Errors
    /// All mistakes in both. A list that cannot be read is never taken for an empty one.
    pub fn load(&self) -> Result<MacRules, Vec<MacListError>> {
        let (allow, deny) = (self.allow.as_deref().map(read), self.deny.as_deref().map(read));
        match (allow.transpose(), deny.transpose()) {
            (Ok(allow), Ok(deny)) => Ok(MacRules {
                allow: allow.map(Arc::new),
                deny: deny.unwrap_or_default().into(),
                console: ConsoleMacs::default(),
            }),
            (allow, deny) => Err(allow.err().into_iter().chain(deny.err()).flatten().collect()),
        }
    }

    /// The state of both files, to tell whether they have changed. May block.
    pub fn stamps(&self) -> Stamps {
        [&self.allow, &self.deny].map(|path| path.as_deref().and_then(|path| Stamp::of(path).ok()))
    }
}

impl MacRules {
    /// Is this station served? One on both lists of files is not. Consoles have the last word.
    pub fn permit(&self, mac: MacAddr) -> bool {
        if self.console.allow.contains(&mac) {
            return true;
        }
        !self.console.deny.contains(&mac)
            && !self.deny.contains(&mac)
            && self.allow.as_ref().is_none_or(|allowed| allowed.contains(&mac))
    }

    /// The same with other lists of consoles.
    #[must_use]
    pub fn with_console(self, console: ConsoleMacs) -> Self {
        Self { console, ..self }
    }

    /// The lists with their names: who is served (`None` is everybody), who is not.
    pub fn lists(&self) -> [(&'static str, Option<&BTreeSet<MacAddr>>); 2] {
        [("mac-allow", self.allow.as_deref()), ("mac-deny", Some(&self.deny))]
    }

    /// The list of those who are served is empty: nobody is, but for those that a console adds.
    pub fn serve_nobody(&self) -> bool {
        self.allow.as_ref().is_some_and(|allow| allow.is_empty()) && self.console.allow.is_empty()
    }

    /// How many addresses are on the lists: allowed (`None` is all), denied.
    pub fn sizes(&self) -> (Option<usize>, usize) {
        (self.allow.as_ref().map(|allow| allow.len()), self.deny.len())
    }
}

fn read(path: &Path) -> Result<BTreeSet<MacAddr>, Vec<MacListError>> {
    let unreadable = |source| vec![MacListError::Unreadable { path: path.to_owned(), source }];
    let (file, metadata) = files::open_regular(path).map_err(unreadable)?;
    let contents = files::read_text(file, &metadata, MAX_FILE).map_err(unreadable)?;
    parse(&contents, &Arc::from(path))
}

/// Reads a list from memory, under the name `file` in messages.
///
/// # Errors
/// [`MacListError`] for each line that is wrong, up to a number of them.
pub fn parse(contents: &[u8], file: &Arc<Path>) -> Result<BTreeSet<MacAddr>, Vec<MacListError>> {
    let (mut addresses, mut errors) = (BTreeSet::new(), Vec::new());
    for (line, text) in (1..).zip(contents.split(|byte| *byte == b'\n')) {
        let text = text.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        if text.is_empty() {
            continue;
        }
        let place = || Place::new(Arc::clone(file), line);
        let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse::<MacAddr>().ok());
        let Some(mac) = parsed else {
            let text = Escaped(text.get(..40).unwrap_or(text)).to_string();
            errors.push(MacListError::BadAddress { place: place(), text });
            continue;
        };
        match mac.is_unicast() {
            true => drop(addresses.insert(mac)),
            false => errors.push(MacListError::Group { place: place(), mac }),
        }
    }
    let more = errors.len().saturating_sub(MAX_ERRORS);
    if more > 0 {
        errors.truncate(MAX_ERRORS);
        errors.push(MacListError::More { file: Arc::clone(file), more });
    }
    if errors.is_empty() { Ok(addresses) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: MacAddr = MacAddr([2, 0, 0x5e, 0x10, 0, 1]);
    const TWO: MacAddr = MacAddr([2, 0, 0x5e, 0x10, 0, 2]);
    const THREE: MacAddr = MacAddr([2, 0, 0x5e, 0x10, 0, 3]);

    fn parsed(text: &str) -> Result<Vec<MacAddr>, Vec<String>> {
        let file = Arc::from(Path::new("/etc/list"));
        parse(text.as_bytes(), &file)
            .map(|set| set.into_iter().collect())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lines_comments_and_mistakes() {
        assert_eq!(parsed(""), Ok(vec![]));
        let text = "# who\n\n02:00:5e:10:00:01\n  02:00:5E:10:00:02 # bob\r\n02:00:5e:10:00:01";
        assert_eq!(parsed(text), Ok(vec![ONE, TWO]));
        assert_eq!(parsed("02-00-5e-10-00-01\r\n0200.5E10.0002\n2:0:5e:10:0:3\n"), Ok(vec![ONE, TWO, THREE]));
        for (text, message) in [
            (
                "\n02:00:5e:10:00",
                "/etc/list:2: \"02:00:5e:10:00\" is not a MAC address such as 02:00:5e:10:00:01",
            ),
            (
                "02:00:5e:10:00:01 02:00:5e:10:00:02",
                "/etc/list:1: \"02:00:5e:10:00:01 02:00:5e:10:00:02\" is not a MAC address such as 02:00:5e:10:00:01",
            ),
            ("#\n#\nff:ff:ff:ff:ff:ff", "/etc/list:3: ff:ff:ff:ff:ff:ff is not a unicast MAC address"),
        ] {
            assert_eq!(parsed(text), Err(vec![message.to_owned()]));
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once_up_to_a_number() {
        let said = parsed("alice\n02:00:5e:10:00:01\nff:ff:ff:ff:ff:ff\nbob\n").unwrap_err();
        assert_eq!(said.len(), 3);
        assert!(said[0].starts_with("/etc/list:1: \"alice\"") && said[2].starts_with("/etc/list:4: \"bob\""));
        let said = parsed(&"x\n".repeat(MAX_ERRORS + 7)).unwrap_err();
        assert_eq!(said.len(), MAX_ERRORS + 1);
        assert_eq!(said.last().unwrap(), "/etc/list: 7 more lines are not a MAC address");
    }

    #[test]
    fn an_empty_list_of_those_who_are_served_serves_nobody() {
        let empty = MacRules { allow: Some(Arc::default()), ..MacRules::default() };
        assert!(empty.serve_nobody() && !MacRules::default().serve_nobody());
        let console = ConsoleMacs { allow: Arc::new([ONE].into()), ..ConsoleMacs::default() };
        assert!(!empty.with_console(console).serve_nobody());
    }

    #[test]
    fn deny_beats_allow_and_no_list_is_everybody() {
        let permitted = |rules: &MacRules| [ONE, TWO, THREE].map(|mac| rules.permit(mac));
        let set = |macs: &[MacAddr]| Arc::new(macs.iter().copied().collect::<BTreeSet<_>>());
        assert_eq!(permitted(&MacRules::default()), [true; 3]);
        assert_eq!(permitted(&MacRules { deny: set(&[TWO]), ..MacRules::default() }), [true, false, true]);
        assert_eq!(permitted(&MacRules { allow: Some(set(&[])), ..MacRules::default() }), [false; 3]);
        let both = MacRules { allow: Some(set(&[ONE, TWO])), deny: set(&[TWO]), ..MacRules::default() };
        assert_eq!(permitted(&both), [true, false, false]);
        let console = ConsoleMacs { allow: set(&[THREE]), deny: set(&[ONE]) };
        assert_eq!(permitted(&both.with_console(console)), [false, false, true]);
    }

    #[test]
    fn the_mistakes_of_both_lists_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let [allow, deny] = ["allow", "deny"].map(|name| {
            let path = directory.path().join(name);
            std::fs::write(&path, "\u{feff}02:00:5e:10:00:01\nx\n").unwrap();
            Some(path)
        });
        let said = MacFiles { allow, deny }.load().unwrap_err();
        let said: Vec<String> = said.iter().map(ToString::to_string).collect();
        assert!(said.len() == 2 && said[0].contains("allow:2: ") && said[1].contains("deny:2: "), "{said:?}");
    }

    #[test]
    fn files_are_read_and_changes_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deny");
        let files = MacFiles { allow: None, deny: Some(path.clone()) };
        let missing = files.load().unwrap_err()[0].to_string();
        assert!(missing.contains("/deny") && missing.contains("No such file"), "{missing}");
        assert_eq!(files.stamps(), [None, None]);
        std::fs::write(&path, "02:00:5e:10:00:02\n").unwrap();
        let before = files.stamps();
        let rules = files.load().unwrap();
        assert_eq!((rules.permit(ONE), rules.permit(TWO), rules.sizes()), (true, false, (None, 1)));
        assert_eq!(files.stamps(), before);
        std::fs::write(&path, "02:00:5e:10:00:01\n02:00:5e:10:00:02\n").unwrap();
        assert_ne!(files.stamps(), before);
    }
}
