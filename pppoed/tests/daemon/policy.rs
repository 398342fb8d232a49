//! The configuration from the console: what holds, and where it differs from the files.

use std::fs;

use ppp_ipc::control::{
    BitRate, ConfigDiffEnd, ConfigDifference, ConfigSetting, Failure, LogLevel, Request, Response,
};
use ppp_ipc::reload::Setting;

use super::console::Console;
use super::lab::{self, Lab, with_wire};
use super::peer::Subscriber;
use super::worker::good_mac;

const OPTIONS: &str = "require-chap\nlcp-restart 1\nlcp-max-terminate 1\nnoipv6\nms-dns 9.9.9.9\n";

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 2] = [
        ("every setting is shown with its origin", shows),
        ("what runs is compared with the files as they are", compares),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn start() -> Lab {
    let directory = lab::directory();
    fs::write(directory.path().join("options"), OPTIONS).unwrap();
    fs::write(directory.path().join("deny"), format!("{}\n", good_mac(9))).unwrap();
    Lab::start_in(directory, &["-N", "2", "--mac-deny", "{lab}/deny"])
}

/// Without the directory.
fn text(lab: &Lab, setting: Option<&Setting>) -> String {
    let directory = format!("{}/", lab.path("").display()).replace("//", "/");
    let text = |one: &Setting| format!("{} ({})", one.value, one.origin).replace(&directory, "");
    setting.map_or("-".to_owned(), text)
}

fn settings(lab: &Lab, console: &mut Console) -> Vec<(String, String)> {
    let of = |response| match response {
        Response::Config(settings) => settings,
        other => panic!("{other:?}"),
    };
    let shown = |one: ConfigSetting| (one.key, text(lab, Some(&one.setting)));
    console.ask(&Request::ShowConfig).into_iter().flat_map(of).map(shown).collect()
}

fn differences(lab: &Lab) -> Vec<String> {
    let shown = |one: &ConfigDifference| {
        let (running, files) = (text(lab, one.running.as_ref()), text(lab, one.files.as_ref()));
        format!("{}: {running} / {files}, {}", one.key, one.fate.as_str())
    };
    let mut found = Vec::new();
    let mut answers = lab.console().ask(&Request::ShowConfigDiff);
    match answers.pop() {
        Some(Response::ConfigDiffEnd(end)) => assert_eq!(*end, ConfigDiffEnd::default()),
        other => panic!("{other:?}"),
    }
    for answer in answers {
        match answer {
            Response::ConfigDifferences(more) => found.extend(more.iter().map(shown)),
            other => panic!("{other:?}"),
        }
    }
    found
}

fn shows() {
    let lab = start();
    let has = |console: &mut Console, key: &str, value: &str| {
        let all = settings(&lab, console);
        assert!(all.iter().any(|one| one.0 == key && one.1 == value), "{key} {value}: {all:#?}");
    };
    let mut console = lab.console();
    for (key, value) in [
        ("setup-deadline", "5s (--setup-deadline)"),
        ("ms-dns", "9.9.9.9 (options:5)"),
        ("auth", "CHAP-MD5 (options:1)"),
        ("idle", "none (default)"),
        ("addresses", "10.0.0.2-10.0.0.3, ours is 10.0.0.1 (-R)"),
        ("mac-deny address", &format!("{} (deny)", good_mac(9))),
        ("log-level", "info (default)"),
    ] {
        has(&mut console, key, value);
    }
    console.ask(&Request::SetLogLevel { level: Some(LogLevel::Debug), session: None });
    has(&mut console, "log-level", "debug (console: set log-level)");
    lab.stop_with(&mut []);
}

fn compares() {
    let lab = start();
    assert_eq!(differences(&lab), Vec::<String>::new());
    let mut subscriber = Subscriber::open(good_mac(1));
    let id = subscriber.session_id;
    lab.console().ask(&Request::SetLogLevel { level: Some(LogLevel::Debug), session: None });
    lab.console().ask(&Request::SetRate { id, down: BitRate(10_000), up: None });
    lab.console().ask(&Request::Drain { on: true });
    // Read by itself.
    fs::write(lab.path("deny"), "").unwrap();
    lab.logged(&["the lists of MAC addresses have changed"]);
    fs::write(lab.path("options"), format!("{OPTIONS}mtu 1400\n")).unwrap();
    let of_session = "options of the session";
    assert_eq!(
        differences(&lab),
        [
            "log-level: debug (console: set log-level) / info (default), lost".to_owned(),
            "service: draining (console: drain, shutdown) / -, kept".to_owned(),
            format!(
                "rates of session {id}: 10M down, none up (console: set rate) / none down, none up ({of_session}), kept"
            ),
            "mtu: none (default) / 1400 (options:6), reload".to_owned(),
        ]
    );
    fs::write(lab.path("options"), "mtu big\n").unwrap();
    match lab.console().ask(&Request::ShowConfigDiff).remove(0) {
        Response::Failed(Failure::BadFiles(mistakes)) => {
            assert!(mistakes[0].contains("/options:1: ") && mistakes[0].contains("mtu"), "{mistakes:?}");
        }
        other => panic!("{other:?}"),
    }
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}
