//! Where the Developer API's credentials come from.
//!
//! There are three places: what a flag names, the environment, and what `upstash login` saved. The
//! first that says anything must be complete: an email from one and a key from another could belong
//! to two accounts.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokensink_core::{Environment, Secret};

/// The largest credentials file that is read.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// An account's email address and Developer API key.
#[derive(Clone)]
pub struct Credentials {
    pub(crate) email: String,
    pub(crate) api_key: Secret,
    origin: String,
    warning: Option<String>,
}

/// What flags name. A key is never a flag's value: every process on a machine can read those.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// The account's email address.
    pub email: Option<String>,
    /// A file that holds the key.
    pub api_key_file: Option<PathBuf>,
    /// A variable that holds the key.
    pub api_key_env: Option<String>,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Nobody said anything.
    #[error(
        "there are no Upstash credentials: set UPSTASH_EMAIL and UPSTASH_API_KEY, or run `upstash login`"
    )]
    None,
    /// One half is there. The other is not looked for elsewhere.
    #[error(
        "{place} has no {missing}; it is not taken from elsewhere, so that two accounts are never mixed"
    )]
    Half {
        /// What was found.
        place: String,
        /// What was not.
        missing: &'static str,
    },
    /// A file could not be used.
    #[error("could not take the Upstash credentials from {file}: {problem}")]
    File {
        /// Which one.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Credentials {
    /// The credentials of the first place that says anything.
    ///
    /// # Errors
    ///
    /// When no place does, or the first one that does is incomplete or unreadable.
    pub fn find(named: &Named, environment: &Environment) -> Result<Self, CredentialsError> {
        if let Some(found) = from_flags(named, environment)? {
            return Ok(found);
        }
        if let Some(found) = from_environment(environment)? {
            return Ok(found);
        }
        for file in login_files(environment) {
            if let Some(found) = from_login(&file)? {
                return Ok(found);
            }
        }
        Err(CredentialsError::None)
    }

    /// Where they were found, for people.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What deserves attention: a file that others may read.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    fn kept_in(self, file: &Path) -> Self {
        let mode = std::fs::metadata(file).map(|metadata| metadata.permissions().mode());
        let warning = mode.is_ok_and(|mode| mode & 0o077 != 0).then(|| {
            let file = file.display();
            format!("{file} holds an API key and is open to others: run `chmod 600 {file}`")
        });
        Self { warning, ..self }
    }

    fn whole(
        email: Option<String>,
        api_key: Option<Secret>,
        origin: &str,
    ) -> Result<Option<Self>, CredentialsError> {
        let half = |missing| Err(CredentialsError::Half { place: origin.to_owned(), missing });
        match (email, api_key) {
            (Some(email), _) if email.trim().is_empty() => half("email address"),
            (_, Some(api_key)) if is_blank(&api_key) => half("API key"),
            (Some(email), Some(api_key)) => {
                Ok(Some(Self { email, api_key, origin: origin.to_owned(), warning: None }))
            }
            (Some(_), None) => half("API key"),
            (None, Some(_)) => half("email address"),
            (None, None) => Ok(None),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("origin", &self.origin).finish_non_exhaustive()
    }
}

fn from_flags(
    named: &Named,
    environment: &Environment,
) -> Result<Option<Credentials>, CredentialsError> {
    let api_key = match (&named.api_key_file, &named.api_key_env) {
        (Some(file), _) => {
            let text = read(file)?.ok_or_else(|| problem(file, "there is no such file"))?;
            if is_blank(&text) {
                return Err(problem(file, "it is empty"));
            }
            Some(Secret::new(text.expose().trim()))
        }
        (None, Some(name)) => Some(environment.secret(name).cloned().ok_or_else(|| {
            // The key itself may have been given instead of a name, so it is not repeated.
            let place = "the environment variable that a flag names".to_owned();
            CredentialsError::Half { place, missing: "API key" }
        })?),
        (None, None) => None,
    };
    let found = Credentials::whole(named.email.clone(), api_key, "what the flags name")?;
    Ok(match &named.api_key_file {
        Some(file) => found.map(|found| found.kept_in(file)),
        None => found,
    })
}

fn from_environment(environment: &Environment) -> Result<Option<Credentials>, CredentialsError> {
    let email = environment.setting("UPSTASH_EMAIL").map(str::to_owned);
    let api_key = environment.secret("UPSTASH_API_KEY").cloned();
    Credentials::whole(email, api_key, "the environment (UPSTASH_EMAIL, UPSTASH_API_KEY)")
}

/// The files of the official command line, newest first (github.com/upstash/cli, `src/config.ts`).
fn login_files(environment: &Environment) -> Vec<PathBuf> {
    let home = environment.setting("HOME").map(PathBuf::from);
    let config = environment
        .setting("UPSTASH_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(environment.setting("XDG_CONFIG_HOME")?).join("upstash")))
        .or_else(|| Some(home.as_ref()?.join(".config/upstash")));
    let newest = config.map(|folder| folder.join("config.json"));
    let legacy = home.map(|home| home.join(".upstash.json"));
    newest.into_iter().chain(legacy).collect()
}

#[derive(Deserialize)]
struct Login {
    email: Option<String>,
    #[serde(alias = "apiKey")]
    api_key: Option<String>,
}

fn from_login(file: &Path) -> Result<Option<Credentials>, CredentialsError> {
    let Some(text) = read(file)? else { return Ok(None) };
    let login: Login = serde_json::from_str(text.expose()).map_err(|error| {
        problem(file, &format!("it is not what `upstash login` writes: line {}", error.line()))
    })?;
    let api_key = login.api_key.map(Secret::new);
    let found = Credentials::whole(login.email, api_key, &file.display().to_string())?;
    Ok(found.map(|found| found.kept_in(file)))
}

fn is_blank(text: &Secret) -> bool {
    text.expose().trim().is_empty()
}

fn read(file: &Path) -> Result<Option<Secret>, CredentialsError> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(problem(file, &error.to_string())),
    };
    let mut text = String::with_capacity(MAX_FILE_BYTES as usize + 1);
    let read = opened.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    let secret = Secret::new(text);
    match read {
        Ok(_) if secret.expose().len() as u64 <= MAX_FILE_BYTES => Ok(Some(secret)),
        Ok(_) => Err(problem(file, "it is larger than 64 KB")),
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

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_first_place_that_says_anything_decides() {
        let home = tempfile::tempdir().unwrap();
        let login = home.path().join(".config/upstash");
        fs::create_dir_all(&login).unwrap();
        fs::write(login.join("config.json"), r#"{"email":"l@x","api_key":"login-key"}"#).unwrap();
        let home = home.path().to_str().unwrap();
        let find = |named: &Named, variables: &[(&str, &str)]| {
            Credentials::find(named, &environment(&[&[("HOME", home)], variables].concat()))
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
    fn two_places_are_never_mixed() {
        let error = Credentials::find(&Named::default(), &environment(&[("UPSTASH_EMAIL", "e@x")]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no API key") && error.contains("never mixed"), "{error}");
        let named = Named { email: Some("f@x".into()), ..Named::default() };
        let whole = environment(&[("UPSTASH_EMAIL", "e@x"), ("UPSTASH_API_KEY", "k")]);
        assert!(Credentials::find(&named, &whole).is_err());
    }

    #[test]
    fn what_is_empty_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let find = |email: &str, key: &str| {
            fs::write(&file, key).unwrap();
            let named = Named {
                email: Some(email.to_owned()),
                api_key_file: Some(file.clone()),
                api_key_env: None,
            };
            let whole = [("UPSTASH_EMAIL", "e@x"), ("UPSTASH_API_KEY", "env-key")];
            Credentials::find(&named, &environment(&whole))
        };
        assert_eq!(find("f@x", " key\n").unwrap().api_key.expose(), "key");
        let said = find("f@x", " \n").unwrap_err().to_string();
        assert!(said.contains(&format!("credentials from {}: it is empty", file.display())));
        let said = find(" ", "key").unwrap_err().to_string();
        assert!(said.contains("the flags name has no email address"), "{said}");

        let login = folder.path().join(".upstash.json");
        let home = [("HOME", folder.path().to_str().unwrap())];
        fs::write(&login, r#"{"email":"l@x","apiKey":""}"#).unwrap();
        let error = Credentials::find(&Named::default(), &environment(&home)).unwrap_err();
        assert!(error.to_string().contains(".upstash.json has no API key"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_said_to_be_for_credentials() {
        let named = Named {
            email: Some("f@x".into()),
            api_key_file: Some("/no/such".into()),
            api_key_env: None,
        };
        let error = Credentials::find(&named, &environment(&[])).unwrap_err().to_string();
        assert_eq!(
            error,
            "could not take the Upstash credentials from /no/such: there is no such file"
        );
    }

    #[test]
    fn a_key_in_the_place_of_its_variable_is_not_repeated() {
        for pasted in ["0b56a1f0-7c1d-4e0a-9d3e-1f5f3f0a7c11", "short", "A_KEY"] {
            let named = Named {
                email: Some("f@x".into()),
                api_key_env: Some(pasted.into()),
                ..Named::default()
            };
            let error = Credentials::find(&named, &Environment::default()).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains("variable that a flag names has no API key"), "{said}");
            assert!(!said.contains(pasted), "{said}");
        }
    }

    #[test]
    fn the_legacy_file_is_read_and_a_broken_one_named() {
        let home = tempfile::tempdir().unwrap();
        let legacy = home.path().join(".upstash.json");
        let variables = environment(&[("HOME", home.path().to_str().unwrap())]);
        let find = || Credentials::find(&Named::default(), &variables);
        assert!(matches!(find(), Err(CredentialsError::None)));
        fs::write(&legacy, r#"{"email":"o@x","apiKey":"old-key"}"#).unwrap();
        assert_eq!(find().unwrap().api_key.expose(), "old-key");
        fs::set_permissions(&legacy, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(find().unwrap().warning().unwrap().contains("chmod 600"));
        fs::set_permissions(&legacy, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(find().unwrap().warning(), None);
        let padded =
            |blanks| format!("{}{}", " ".repeat(blanks), r#"{"email":"o@x","apiKey":"k"}"#);
        fs::write(&legacy, padded(64 * 1024 - 30)).unwrap();
        assert_eq!(find().unwrap().api_key.expose(), "k");
        fs::write(&legacy, padded(64 * 1024)).unwrap();
        assert!(find().unwrap_err().to_string().contains("larger than 64 KB"));
        fs::remove_file(&legacy).unwrap();
        std::os::unix::fs::symlink(".upstash.json", &legacy).unwrap();
        assert!(matches!(find(), Err(CredentialsError::File { .. })));
        fs::remove_file(&legacy).unwrap();
        fs::write(&legacy, "secret-garbage").unwrap();
        let error = find().unwrap_err().to_string();
        assert!(error.contains(".upstash.json") && !error.contains("secret-garbage"), "{error}");
    }
}
