//! What a command gets of the environment: an allow-list, so that the server's secrets stay with the server.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::Error;

/// Variables that commands inherit, beside `LC_*` and `XDG_*`. Everything else stays with the server.
const INHERITED: &[&str] = &[
    "DBUS_SESSION_BUS_ADDRESS",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XAUTHORITY",
    // Without these hardly any Windows program starts.
    "APPDATA",
    "COMSPEC",
    "LOCALAPPDATA",
    "PATHEXT",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "USERPROFILE",
    "WINDIR",
];

/// Variables that change which code a program runs, so that allowing `git` would no longer mean git.
const LOADERS: &[&str] = &[
    "BASH_ENV",
    "BASHOPTS",
    "ENV",
    "IFS",
    "NODE_OPTIONS",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
    "SHELLOPTS",
    "GCONV_PATH",
    "JAVA_TOOL_OPTIONS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
];

/// Prefixes of the same kind.
const LOADER_PREFIXES: &[&str] = &["LD_", "DYLD_", "BASH_FUNC_", "GLIBC_TUNABLES"];

/// Bytes that one value may have.
const LONGEST: usize = 32 * 1024;

/// What of `all` commands inherit.
pub(super) fn inherited(all: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<OsString, OsString> {
    all.filter(|(name, _)| name.to_str().is_some_and(is_inherited)).collect()
}

fn is_inherited(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    INHERITED.contains(&upper.as_str()) || upper.starts_with("LC_") || upper.starts_with("XDG_")
}

/// Refuses names that are none, variables of loaders, and values that no program could be given.
pub(super) fn check(variables: &BTreeMap<String, String>) -> Result<(), Error> {
    variables.iter().try_for_each(|(name, value)| check_one(name, value, "/env", "/env"))
}

/// The same for one variable, whose name and value stand at these places of the request.
pub(super) fn check_one(name: &str, value: &str, name_at: &'static str, value_at: &'static str) -> Result<(), Error> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !first || name.len() > 256 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let shown: String = name.chars().take(64).collect();
        return Err(Error::invalid(name_at, format!("{shown:?} is not the name of a variable: use letters, digits and _, no digit first")));
    }
    let upper = name.to_ascii_uppercase();
    if LOADERS.contains(&upper.as_str()) || LOADER_PREFIXES.iter().any(|prefix| upper.starts_with(prefix)) {
        return Err(Error::invalid(
            name_at,
            format!("{name} decides which code programs load and cannot be set: set it inside the command itself"),
        ));
    }
    if value.contains('\0') || value.len() > LONGEST {
        return Err(Error::invalid(value_at, format!("the value of {name} is not possible: at most 32 KiB, without NUL characters")));
    }
    Ok(())
}

/// What a variable is shown as: secrets, as far as their names or values tell, are masked.
pub(super) fn shown(name: &str, value: &str) -> String {
    if is_secret(name) || carries_password(value) { "***".to_owned() } else { value.to_owned() }
}

/// Whether a name looks like that of a secret.
fn is_secret(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "APIKEY",
        "AUTH",
        "AUTHORIZATION",
        "COOKIE",
        "CREDENTIAL",
        "CREDENTIALS",
        "DSN",
        "JWT",
        "KEY",
        "KEYS",
        "PASS",
        "PASSPHRASE",
        "PASSWD",
        "PIN",
        "PRIVATE",
        "PSK",
        "PW",
        "SALT",
        "SIGNATURE",
    ];
    let upper = name.to_ascii_uppercase();
    ["PASSWORD", "SECRET", "TOKEN", "APIKEY", "API_KEY", "ACCESS_KEY", "PRIVATE_KEY"].iter().any(|part| upper.contains(part))
        || upper.split('_').any(|word| WORDS.contains(&word))
}

/// Whether a value is an address with a password in it: `scheme://user:password@host`.
fn carries_password(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_with_the_server() {
        let all = ["PATH", "LC_ALL", "XDG_RUNTIME_DIR", "API_KEY", "JWT_SECRET", "AWS_ACCESS_KEY_ID", "LD_PRELOAD"];
        let kept = inherited(all.iter().map(|name| (OsString::from(name), OsString::from("x"))));
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["LC_ALL", "PATH", "XDG_RUNTIME_DIR"]);
    }

    #[test]
    fn bad_names_and_loaders_are_refused() {
        for name in ["", "A=B", "A\0", "1A", "ä", "LD_PRELOAD", "ld_library_path", "BASH_ENV", "PATH", "BASH_FUNC_x"] {
            assert!(check(&BTreeMap::from([(name.to_owned(), "x".to_owned())])).is_err(), "{name:?} was accepted");
        }
        assert!(check(&BTreeMap::from([("A_1".to_owned(), "ä=\n".to_owned())])).is_ok());
        assert!(check(&BTreeMap::from([("A".to_owned(), "x".repeat(40_000))])).is_err());
    }

    #[test]
    fn what_looks_secret_is_masked() {
        for (name, value) in
            [("API_KEY", "x"), ("GITHUB_TOKEN", "x"), ("mysecret", "x"), ("DB_PASS", "x"), ("DATABASE_URL", "postgres://me:pass@host/db")]
        {
            assert_eq!(shown(name, value), "***", "{name}");
        }
        for (name, value) in
            [("PATH", "/bin"), ("PWD", "/"), ("KEYBOARD", "de"), ("URL", "https://example.org/a@b:c"), ("XAUTHORITY", "/x")]
        {
            assert_eq!(shown(name, value), value, "{name}");
        }
    }
}
