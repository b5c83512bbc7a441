//! Finds the credentials of the Developer API.
//!
//! They are read from the flags, the environment, or the file that `upstash login` wrote, in this
//! order. The first source that has an email address or a key must have both: an email address from
//! one source and a key from another could belong to different accounts.

use std::fmt;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokensink_core::{Environment, Secret, path_problem, request_value_problem, trimmed};

/// An account's email address and Developer API key.
#[derive(Clone)]
pub struct UpstashCredentials {
    pub(crate) email: String,
    pub(crate) api_key: Secret,
    origin: String,
    warning: Option<String>,
}

/// The credential flags. The key itself is never a flag's value, because every process on the
/// machine can read the arguments of a program.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// The account's email address.
    pub email: Option<String>,
    /// The file that contains the key.
    pub api_key_file: Option<PathBuf>,
    /// The name of the environment variable that contains the key.
    pub api_key_env: Option<String>,
}

/// Reads a whole file, with limits on its size and on the time.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Secret>;

/// An error while looking for credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// No source has credentials.
    #[error(
        "there are no Upstash credentials: set UPSTASH_EMAIL and UPSTASH_API_KEY, or run `upstash login`"
    )]
    None,
    /// A source has only the email address or only the key.
    #[error(
        "{place} has no {missing}; it is not read from another source, so that two accounts are never mixed"
    )]
    Half {
        /// The incomplete source.
        place: String,
        /// The missing half.
        missing: &'static str,
    },
    /// A value is not a usable email address, key or path.
    #[error("{name} cannot be used: {problem}")]
    Value {
        /// The variable, flag or file that contains it.
        name: String,
        /// The problem, without the value.
        problem: String,
    },
    /// A file is missing, not readable or not valid.
    #[error("cannot read the Upstash credentials from {file}: {problem}")]
    File {
        /// The file's path.
        file: String,
        /// The problem.
        problem: String,
    },
}

/// An email address or a key, with the name of the variable, flag or file that contains it.
struct Found {
    value: Secret,
    name: String,
}

impl Found {
    fn new(value: Secret, name: impl Into<String>) -> Self {
        Self { value: value.trimmed(), name: name.into() }
    }

    /// Returns the value if it can be sent in a request header.
    fn checked(self) -> Result<Secret, CredentialsError> {
        match request_value_problem(self.value.expose()) {
            None => Ok(self.value),
            Some(problem) => {
                Err(CredentialsError::Value { name: self.name, problem: problem.to_owned() })
            }
        }
    }
}

impl UpstashCredentials {
    /// Returns the credentials of the first source that has any.
    ///
    /// # Errors
    ///
    /// When no source has any, or when the first one that has is incomplete or not usable.
    pub fn find(
        named: &Named,
        environment: &Environment,
        read_file: ReadFile<'_>,
    ) -> Result<Self, CredentialsError> {
        if let Some(found) = from_flags(named, environment, read_file)? {
            return Ok(found);
        }
        if let Some(found) = from_environment(environment)? {
            return Ok(found);
        }
        for file in login_files(environment)? {
            if let Some(found) = from_login(&file, read_file)? {
                return Ok(found);
            }
        }
        Err(CredentialsError::None)
    }

    /// Returns where the credentials were found, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns a warning if other users may read the file that contains the key.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    fn kept_in(self, file: &Path) -> Self {
        let is_open = std::fs::metadata(file)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o077 != 0);
        let warning = is_open.then(|| {
            let file = file.display();
            format!(
                "{file} contains an API key and other users may read it: run `chmod 600 {file}`"
            )
        });
        Self { warning, ..self }
    }

    fn whole(
        email: Option<Found>,
        api_key: Option<Found>,
        origin: &str,
    ) -> Result<Option<Self>, CredentialsError> {
        let half = |missing| Err(CredentialsError::Half { place: origin.to_owned(), missing });
        match (email, api_key) {
            (Some(email), _) if email.value.is_empty() => half("email address"),
            (_, Some(api_key)) if api_key.value.is_empty() => half("API key"),
            (Some(email), Some(api_key)) => Ok(Some(Self {
                email: email.checked()?.expose().to_owned(),
                api_key: api_key.checked()?,
                origin: origin.to_owned(),
                warning: None,
            })),
            (Some(_), None) => half("API key"),
            (None, Some(_)) => half("email address"),
            (None, None) => Ok(None),
        }
    }
}

impl fmt::Debug for UpstashCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstashCredentials").field("origin", &self.origin).finish_non_exhaustive()
    }
}

fn from_flags(
    named: &Named,
    environment: &Environment,
    read_file: ReadFile<'_>,
) -> Result<Option<UpstashCredentials>, CredentialsError> {
    let api_key = match (&named.api_key_file, &named.api_key_env) {
        (Some(file), _) => {
            check_path("--upstash-api-key-file", file, environment)?;
            let text = read(file, read_file)?;
            let text = text.ok_or_else(|| problem(file, "there is no such file"))?;
            if trimmed(text.expose()).is_empty() {
                return Err(problem(file, "it is empty"));
            }
            Some(Found::new(text, file.display().to_string()))
        }
        (None, Some(name)) => {
            // The key itself may have been given instead of a name, so it is not repeated.
            let place = || "the environment variable of `--upstash-api-key-env`".to_owned();
            let secret = environment.secret(name).cloned();
            let secret = secret
                .ok_or_else(|| CredentialsError::Half { place: place(), missing: "API key" })?;
            Some(Found::new(secret, place()))
        }
        (None, None) => None,
    };
    let email = named.email.as_ref().map(|email| Found::new(Secret::new(email), "--upstash-email"));
    let found = UpstashCredentials::whole(email, api_key, "the set of credential flags")?;
    Ok(match &named.api_key_file {
        Some(file) => found.map(|found| found.kept_in(file)),
        None => found,
    })
}

fn from_environment(
    environment: &Environment,
) -> Result<Option<UpstashCredentials>, CredentialsError> {
    let find = |name: &str| Some(Found::new(environment.secret(name)?.clone(), name));
    let (email, api_key) = (find("UPSTASH_EMAIL"), find("UPSTASH_API_KEY"));
    UpstashCredentials::whole(email, api_key, "the environment (UPSTASH_EMAIL, UPSTASH_API_KEY)")
}

/// Returns the files in which Upstash's own CLI saves a login, newest format first
/// (github.com/upstash/cli, `src/config.ts`).
fn login_files(environment: &Environment) -> Result<Vec<PathBuf>, CredentialsError> {
    let path = |name: &str| environment.setting(name).map(PathBuf::from);
    let home = path("HOME");
    let named = path("UPSTASH_CONFIG_HOME");
    if let Some(directory) = &named {
        check_path("UPSTASH_CONFIG_HOME", directory, environment)?;
    }
    // A relative base directory is invalid, and ignored (freedesktop.org's base directories).
    let base = path("XDG_CONFIG_HOME").filter(|directory| directory.is_absolute());
    let config = named
        .or_else(|| Some(base?.join("upstash")))
        .or_else(|| Some(home.as_ref()?.join(".config/upstash")));
    let newest = config.map(|directory| directory.join("config.json"));
    let legacy = home.map(|home| home.join(".upstash.json"));
    Ok(newest.into_iter().chain(legacy).collect())
}

fn check_path(name: &str, path: &Path, environment: &Environment) -> Result<(), CredentialsError> {
    match path_problem(path, environment.setting("HOME")) {
        None => Ok(()),
        Some(found) => Err(CredentialsError::Value {
            name: name.to_owned(),
            problem: format!("{}; {}", found.problem, found.help),
        }),
    }
}

#[derive(Deserialize)]
struct Login {
    email: Option<String>,
    #[serde(alias = "apiKey")]
    api_key: Option<String>,
}

fn from_login(
    file: &Path,
    read_file: ReadFile<'_>,
) -> Result<Option<UpstashCredentials>, CredentialsError> {
    let Some(text) = read(file, read_file)? else { return Ok(None) };
    let login: Login = serde_json::from_str(trimmed(text.expose())).map_err(|error| {
        problem(file, &format!("it is not a file of `upstash login` (line {})", error.line()))
    })?;
    let origin = file.display().to_string();
    let found = |value: Option<String>, key: &str| {
        Some(Found::new(Secret::new(value?), format!("`{key}` in {origin}")))
    };
    let (email, api_key) = (found(login.email, "email"), found(login.api_key, "api_key"));
    let whole = UpstashCredentials::whole(email, api_key, &origin)?;
    Ok(whole.map(|found| found.kept_in(file)))
}

fn read(file: &Path, read_file: ReadFile<'_>) -> Result<Option<Secret>, CredentialsError> {
    match read_file(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(problem(file, &error.to_string())),
    }
}

fn problem(file: &Path, problem: &str) -> CredentialsError {
    CredentialsError::File { file: file.display().to_string(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_plainly(file: &Path) -> io::Result<Secret> {
        fs::read_to_string(file).map(Secret::new)
    }

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn flags_come_before_the_environment_and_that_before_the_login_file() {
        let home = tempfile::tempdir().unwrap();
        let login = home.path().join(".config/upstash");
        fs::create_dir_all(&login).unwrap();
        fs::write(login.join("config.json"), r#"{"email":"l@x","api_key":"login-key"}"#).unwrap();
        let home = home.path().to_str().unwrap();
        let find = |named: &Named, variables: &[(&str, &str)]| {
            UpstashCredentials::find(
                named,
                &environment(&[&[("HOME", home)], variables].concat()),
                &read_plainly,
            )
        };
        let env = [("UPSTASH_EMAIL", "e@x"), ("UPSTASH_API_KEY", "env-key")];
        let named = Named {
            email: Some("f@x".into()),
            api_key_env: Some("KEY".into()),
            ..Named::default()
        };

        let found = find(&named, &[&env[..], &[("KEY", "flag-key")]].concat()).unwrap();
        assert_eq!((found.email.as_str(), found.api_key.expose()), ("f@x", "flag-key"));
        let found = find(&Named::default(), &env).unwrap();
        assert_eq!((found.email.as_str(), found.api_key.expose()), ("e@x", "env-key"));
        let found = find(&Named::default(), &[]).unwrap();
        assert_eq!((found.email.as_str(), found.api_key.expose()), ("l@x", "login-key"));
        assert!(!format!("{found:?}").contains("login-key"));
    }

    #[test]
    fn credentials_of_two_sources_are_never_mixed() {
        let error = UpstashCredentials::find(
            &Named::default(),
            &environment(&[("UPSTASH_EMAIL", "e@x")]),
            &read_plainly,
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("no API key") && error.contains("never mixed"), "{error}");
        let named = Named { email: Some("f@x".into()), ..Named::default() };
        let whole = environment(&[("UPSTASH_EMAIL", "e@x"), ("UPSTASH_API_KEY", "k")]);
        assert!(UpstashCredentials::find(&named, &whole, &read_plainly).is_err());
    }

    #[test]
    fn an_empty_credential_is_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        let find = |email: &str, key: &str| {
            fs::write(&file, key).unwrap();
            let named = Named {
                email: Some(email.to_owned()),
                api_key_file: Some(file.clone()),
                api_key_env: None,
            };
            let whole = [("UPSTASH_EMAIL", "e@x"), ("UPSTASH_API_KEY", "env-key")];
            UpstashCredentials::find(&named, &environment(&whole), &read_plainly)
        };
        assert_eq!(find("f@x", " key\n").unwrap().api_key.expose(), "key");
        let error = find("f@x", " \n").unwrap_err().to_string();
        assert!(error.contains(&format!("credentials from {}: it is empty", file.display())));
        let error = find(" ", "key").unwrap_err().to_string();
        assert!(error.contains("credential flags has no email address"), "{error}");

        let login = directory.path().join(".upstash.json");
        let home = [("HOME", directory.path().to_str().unwrap())];
        fs::write(&login, r#"{"email":"l@x","apiKey":""}"#).unwrap();
        let error = UpstashCredentials::find(&Named::default(), &environment(&home), &read_plainly)
            .unwrap_err();
        assert!(error.to_string().contains(".upstash.json has no API key"), "{error}");
    }

    #[test]
    fn the_error_for_a_missing_key_file_names_the_credentials() {
        let named = Named {
            email: Some("f@x".into()),
            api_key_file: Some("/no/such".into()),
            api_key_env: None,
        };
        let error = UpstashCredentials::find(&named, &environment(&[]), &read_plainly)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "cannot read the Upstash credentials from /no/such: there is no such file"
        );
    }

    #[test]
    fn a_key_given_as_the_variable_name_is_not_shown() {
        for pasted in ["0b56a1f0-7c1d-4e0a-9d3e-1f5f3f0a7c11", "short", "A_KEY"] {
            let named = Named {
                email: Some("f@x".into()),
                api_key_env: Some(pasted.into()),
                ..Named::default()
            };
            let error = UpstashCredentials::find(&named, &Environment::default(), &read_plainly)
                .unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains("variable of `--upstash-api-key-env` has no API key"),
                "{shown}"
            );
            assert!(!shown.contains(pasted), "{shown}");
        }
    }

    #[test]
    fn the_legacy_login_file_is_read_and_named_when_it_is_invalid() {
        let home = tempfile::tempdir().unwrap();
        let legacy = home.path().join(".upstash.json");
        let variables = environment(&[("HOME", home.path().to_str().unwrap())]);
        let find = || UpstashCredentials::find(&Named::default(), &variables, &read_plainly);
        assert!(matches!(find(), Err(CredentialsError::None)));
        fs::write(&legacy, r#"{"email":"o@x","apiKey":"old-key"}"#).unwrap();
        assert_eq!(find().unwrap().api_key.expose(), "old-key");
        fs::set_permissions(&legacy, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(find().unwrap().warning().unwrap().contains("chmod 600"));
        fs::set_permissions(&legacy, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(find().unwrap().warning(), None);
        fs::remove_file(&legacy).unwrap();
        std::os::unix::fs::symlink(".upstash.json", &legacy).unwrap();
        assert!(matches!(find(), Err(CredentialsError::File { .. })));
        fs::remove_file(&legacy).unwrap();
        fs::write(&legacy, "secret-garbage").unwrap();
        let error = find().unwrap_err().to_string();
        assert!(error.contains(".upstash.json") && !error.contains("secret-garbage"), "{error}");
    }

    #[test]
    fn whitespace_around_a_credential_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".upstash.json");
        let home = ("HOME", directory.path().to_str().unwrap());
        for (before, after) in [("", "\r"), ("\u{feff}", "\n"), (" ", "\t \r\n")] {
            let around = |text: &str| format!("{before}{text}{after}");
            let (email, key) = (around("e@x"), around("key"));
            let by_variables =
                environment(&[("UPSTASH_EMAIL", email.as_str()), ("UPSTASH_API_KEY", &key)]);
            let file = directory.path().join("key");
            fs::write(&file, &key).unwrap();
            let by_flags =
                Named { email: Some(email.clone()), api_key_file: Some(file), api_key_env: None };
            let login = serde_json::json!({"email": email, "api_key": key}).to_string();
            fs::write(&path, around(&login)).unwrap();
            for (named, variables) in [
                (Named::default(), by_variables),
                (by_flags, Environment::default()),
                (Named::default(), environment(&[home])),
            ] {
                let found = UpstashCredentials::find(&named, &variables, &read_plainly).unwrap();
                assert_eq!((found.email.as_str(), found.api_key.expose()), ("e@x", "key"));
            }
        }
    }

    #[test]
    fn an_invalid_credential_is_rejected_by_the_name_of_its_source() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for value in ["two\nlines", "a hunter2", "esc\u{1b}[31m", "\"hunter2\"", "\u{200b}hunter2"]
        {
            fs::write(path("key"), value).unwrap();
            let login = serde_json::json!({"email": "e@x", "api_key": value}).to_string();
            fs::write(path(".upstash.json"), login).unwrap();
            let home = directory.path().to_str().unwrap();
            let flags = |file: Option<&str>, variable: Option<&str>| Named {
                email: Some("f@x".to_owned()),
                api_key_file: file.map(path),
                api_key_env: variable.map(str::to_owned),
            };
            for (named, variables, name) in [
                (
                    Named::default(),
                    environment(&[("UPSTASH_EMAIL", "e@x"), ("UPSTASH_API_KEY", value)]),
                    "UPSTASH_API_KEY",
                ),
                (
                    Named::default(),
                    environment(&[("UPSTASH_EMAIL", value), ("UPSTASH_API_KEY", "k")]),
                    "UPSTASH_EMAIL",
                ),
                (
                    Named { email: Some(value.to_owned()), ..flags(None, Some("K")) },
                    environment(&[("K", "k")]),
                    "--upstash-email",
                ),
                (flags(Some("key"), None), environment(&[]), path("key").to_str().unwrap()),
                (
                    flags(None, Some("K")),
                    environment(&[("K", value)]),
                    "variable of `--upstash-api-key-env`",
                ),
                (Named::default(), environment(&[("HOME", home)]), "`api_key` in "),
            ] {
                let error =
                    UpstashCredentials::find(&named, &variables, &read_plainly).unwrap_err();
                let text = error.to_string();
                assert!(text.contains(name) && text.contains("cannot be used: it "), "{text}");
                assert!(!text.contains("hunter2") && !text.contains('\n'), "{text}");
            }
        }
    }

    #[test]
    fn a_path_that_needs_shell_expansion_is_rejected() {
        let home = ("HOME", "/srv/me");
        let named = Named {
            email: Some("f@x".to_owned()),
            api_key_file: Some("~/key".into()),
            api_key_env: None,
        };
        let error =
            UpstashCredentials::find(&named, &environment(&[home]), &read_plainly).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--upstash-api-key-file cannot be used: `~` is expanded by a shell only; write /srv/me/key"
        );
        let variables = environment(&[home, ("UPSTASH_CONFIG_HOME", "$HOME/u")]);
        let error =
            UpstashCredentials::find(&Named::default(), &variables, &read_plainly).unwrap_err();
        assert!(error.to_string().starts_with("UPSTASH_CONFIG_HOME cannot be used: "), "{error}");
    }

    #[test]
    fn a_relative_base_directory_is_ignored() {
        let variables = environment(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "config")]);
        let files = login_files(&variables).unwrap();
        assert_eq!(files[0], Path::new("/h/.config/upstash/config.json"));
        let variables = environment(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")]);
        assert_eq!(login_files(&variables).unwrap()[0], Path::new("/c/upstash/config.json"));
    }
}
