//! What consoles can set, for completion: the names that `set config` and `set user` take, and no other.

use clap::CommandFactory as _;
use ppp_ipc::policy::Settable;

use super::{ADDRESS, check_option};
use crate::config::{Effect, reference};
use crate::flags::Flags;
use crate::flags::keys::{Kind, ServerKey};
use crate::options::{self, OptionKind};

/// Everything that can be set while the server runs: settings, and then options of single users. May block.
pub fn settable() -> Vec<Settable> {
    let flags = Flags::command();
    let values_of_flag = |key: &ServerKey| -> Vec<String> {
        let arg = flags.get_arguments().find(|arg| arg.get_long() == Some(&key.name));
        match key.kind {
            Kind::Switch => switch(),
            _ => arg
                .into_iter()
                .flat_map(clap::Arg::get_possible_values)
                .map(|value| value.get_name().to_owned())
                .collect(),
        }
    };
    let reference = reference();
    let about = |name: &str| {
        let found = reference.iter().find(|one| one.key.trim_matches('"') == name);
        found.map(|one| one.about.clone()).unwrap_or_default()
    };
    let settings = reference.iter().filter(|one| one.effect != Effect::Restart).filter_map(|one| {
        let key = one.key.trim_matches('"').to_owned();
        let values = match (one.table, ServerKey::find(&key)) {
            ("", Some(flag)) if flag.kind != Kind::Path => values_of_flag(flag),
            ("ppp", None) if check_option(&key).is_ok() => values_of_option(&key),
            _ => return None,
        };
        Some(Settable { key, is_of_user: false, values, about: one.about.clone() })
    });
    let options = options::session_options().filter(|name| check_option(name).is_ok());
    let of_users = options.map(|name| Settable {
        key: name.to_owned(),
        is_of_user: true,
        values: values_of_option(name),
        about: about(name),
    });
    let address = Settable {
        key: ADDRESS.to_owned(),
        is_of_user: true,
        values: Vec::new(),
        about: "The address that the user gets, and nobody else".to_owned(),
    };
    settings.chain(of_users).chain([address]).collect()
}

fn values_of_option(name: &str) -> Vec<String> {
    match (name, options::kind_of(name)) {
        ("auth", _) => ["chap", "pap", "none"].map(str::to_owned).into(),
        ("mo-direction", _) => ["in", "out", "sum", "max"].map(str::to_owned).into(),
        (_, Some(OptionKind::Switch)) => switch(),
        _ => Vec::new(),
    }
}

fn switch() -> Vec<String> {
    ["true", "false"].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use ppp_ipc::name::Name;
    use ppp_ipc::policy::PolicyChange;

    use super::*;
    use crate::policy::{By, Lists, Policy};

    /// Whatever is offered is taken.
    #[test]
    fn each_value_that_is_offered_can_be_set() {
        let all = settable();
        assert!(all.iter().filter(|one| one.is_of_user).count() > 10 && all.len() > 70, "{}", all.len());
        for Settable { key, is_of_user, values, about } in &all {
            assert!(!about.is_empty() || *is_of_user, "{key}");
            for value in values {
                let change = match is_of_user {
                    true => PolicyChange::SetUser {
                        name: Name::new("alice"),
                        options: vec![(key.clone(), value.clone())],
                    },
                    false => PolicyChange::Set { key: key.clone(), values: vec![value.clone()] },
                };
                let changed = Policy::default().changed(&change, &Lists::default(), By::default());
                changed.unwrap_or_else(|refusal| panic!("{key} {value}: {refusal}"));
            }
        }
        for refused in
            ["run-dir", "hooks-dir", "frame-types", "foreground", "logfile", "ipparam", "control-group"]
        {
            assert!(all.iter().all(|one| one.key != refused), "{refused}");
        }
    }
}
