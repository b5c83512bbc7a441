//! Checks the proxy and certificate settings of the environment.
//!
//! The HTTP libraries ignore a setting that they cannot use, so that a request is sent directly
//! instead of through a proxy. Here such a setting is an error that names its variable. Proxy settings
//! are not checked for loopback, where no proxy is used, and certificate settings not without TLS.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, Url};
use zeroize::Zeroizing;

use crate::client::{ClientError, is_loopback};

/// The variables that curl and the HTTP libraries read for an `https` URL, in their order.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Certificate bundles are a few hundred kilobytes.
const MAX_BUNDLE_BYTES: u64 = 16 << 20;

/// Looks up a variable. Returns `None` if it is unset or blank.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<Zeroizing<String>>;

/// A proxy, and the variable that sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) variable: &'static str,
    /// The URL, which may contain a user name and a password.
    pub(crate) url: Url,
}

impl Proxy {
    /// Returns the proxy's name for messages, without its credential.
    pub(crate) fn label(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("the proxy {host}:{port} ({})", self.variable)
    }
}

/// Checks the proxy and certificate settings for requests to `base`, and returns the proxy's URL, which
/// may contain a credential, or `None` if requests are sent directly. For clients that are not built
/// with [`build_client`](crate::build_client), which does the same.
///
/// # Errors
///
/// When a setting is not usable. The message names its variable and contains no credential.
pub fn check_network_settings(base: &Url) -> Result<Option<Url>, ClientError> {
    check_certificates(base, &of_process)?;
    Ok(proxy_for(base, &of_process)?.map(|proxy| proxy.url))
}

/// Reads the PEM certificates in `file`, which `variable` names (such as `AWS_CA_BUNDLE`), and returns
/// them as they are. The TLS library accepts each of them.
///
/// # Errors
///
/// When a certificate is not usable. The message names the variable.
pub fn read_certificates(variable: &'static str, file: &Path) -> Result<Vec<u8>, ClientError> {
    let usable = read_bundle(file).and_then(|(pem, certificates)| {
        // The certificates are parsed when a client is built with them.
        let client = reqwest::Client::builder().no_proxy().tls_certs_only(certificates).build();
        client.map(|_| pem).map_err(|_| "it contains a certificate that cannot be used".to_owned())
    });
    usable.map_err(|problem| ClientError::Setting {
        variable,
        problem: format!("{}: {problem}", file.display()),
    })
}

/// Returns the name of the proxy for requests to `url`, for error messages, or `None` if they are sent
/// directly.
pub fn proxy_label(url: &Url) -> Option<String> {
    proxy_for(url, &of_process).ok().flatten().map(|proxy| proxy.label())
}

/// Looks up a variable in the process environment, where the HTTP libraries read it.
pub(crate) fn of_process(name: &str) -> Option<Zeroizing<String>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the HTTP libraries read the process environment"
    )]
    let value = std::env::var_os(name)?;
    let value = Zeroizing::new(value.to_string_lossy().into_owned());
    (!value.trim().is_empty()).then_some(value)
}

/// Returns the proxy for requests to `base`.
pub(crate) fn proxy_for(
    base: &Url,
    variables: Variables<'_>,
) -> Result<Option<Proxy>, ClientError> {
    if is_loopback(base) {
        return Ok(None);
    }
    let find =
        |names: &[&'static str]| names.iter().find_map(|name| Some((*name, variables(name)?)));
    let Some((variable, text)) = find(&PROXY_VARIABLES) else { return Ok(None) };
    let unusable =
        |variable, problem: &str| ClientError::Setting { variable, problem: problem.to_owned() };
    let url = parse_proxy(text.trim()).map_err(|problem| unusable(variable, problem))?;
    if let Some((variable, exceptions)) = find(&EXCEPTIONS) {
        if exceptions.trim().contains(|c: char| c.is_control() || matches!(c, '"' | '\'')) {
            return Err(unusable(variable, "it is not a list of hosts separated by commas"));
        }
        let matcher = Matcher::builder().all("http://proxy").no(exceptions.trim()).build();
        let is_excepted = base
            .as_str()
            .parse()
            .is_ok_and(|destination| matcher.intercept(&destination).is_none());
        if is_excepted {
            return Ok(None);
        }
    }
    Ok(Some(Proxy { variable, url }))
}

/// Parses a proxy's URL. A host and a port alone mean `http`. The errors do not quote the URL, because
/// it may contain a password.
fn parse_proxy(text: &str) -> Result<Url, &'static str> {
    if text.contains(['"', '\'']) {
        return Err("it contains quotes");
    }
    if text
        .contains(|c: char| c.is_control() || c.is_whitespace() || c == char::REPLACEMENT_CHARACTER)
    {
        return Err("it contains a blank or a control character");
    }
    let with_scheme = Zeroizing::new(if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    });
    let Ok(url) = Url::parse(&with_scheme) else {
        return Err(
            "it is not a URL (write it as http://HOST:PORT; in a user name or a password, \
             percent-encode what is not a letter or a digit)",
        );
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https proxies are supported");
    }
    if !url.has_host() {
        return Err("it has no host");
    }
    // Text after the host is most likely the rest of a password that contains `#`, `?` or `/`.
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(
            "it has text after its host and port (in a password, percent-encode `#`, `?` and `/`)",
        );
    }
    Ok(url)
}

/// Checks that the certificates for connections to `base` can be loaded.
pub(crate) fn check_certificates(base: &Url, variables: Variables<'_>) -> Result<(), ClientError> {
    if base.scheme() != "https" {
        return Ok(());
    }
    if let Some(file) = variables("SSL_CERT_FILE") {
        let file = Path::new(file.as_str());
        read_bundle(file).map_err(|problem| ClientError::Setting {
            variable: "SSL_CERT_FILE",
            problem: format!("{}: {problem}", file.display()),
        })?;
    }
    let Some(directories) = variables("SSL_CERT_DIR") else { return Ok(()) };
    let directories: Vec<PathBuf> = std::env::split_paths(directories.as_str()).collect();
    for directory in directories.iter().filter(|path| !path.as_os_str().is_empty()) {
        fs::read_dir(directory).map_err(|error| ClientError::Setting {
            variable: "SSL_CERT_DIR",
            problem: format!("{}: {}", directory.display(), reason(&error)),
        })?;
    }
    Ok(())
}

fn read_bundle(file: &Path) -> Result<(Vec<u8>, Vec<Certificate>), String> {
    let metadata = fs::metadata(file).map_err(|error| reason(&error))?;
    // Reading a pipe could block forever.
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.len() > MAX_BUNDLE_BYTES {
        return Err("it is larger than 16 MB".to_owned());
    }
    let pem = fs::read(file).map_err(|error| reason(&error))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if certificates.is_empty() => {
            Err("it contains no PEM certificate".to_owned())
        }
        Ok(certificates) => Ok((pem, certificates)),
        Err(_) => Err("it is not a bundle of PEM certificates".to_owned()),
    }
}

/// Returns the reason without the error number, such as `no such file or directory`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text);
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<Zeroizing<String>> {
        move |name| {
            let (_, value) = variables.iter().find(|(variable, _)| *variable == name)?;
            (!value.trim().is_empty()).then(|| Zeroizing::new((*value).to_owned()))
        }
    }

    fn proxy(base: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let proxy = proxy_for(&Url::parse(base).unwrap(), &with(variables));
        proxy.map(|proxy| proxy.map(|proxy| proxy.label())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_proxy_is_chosen_like_in_the_http_libraries() {
        let label = |label: &str| Ok(Some(label.to_owned()));
        for (variables, expected) in [
            (&[][..], Ok(None)),
            (
                &[("HTTPS_PROXY", "http://me:pw@p.example:3128")],
                label("the proxy p.example:3128 (HTTPS_PROXY)"),
            ),
            (
                &[("https_proxy", " p.example:8080\r\n")],
                label("the proxy p.example:8080 (https_proxy)"),
            ),
            (
                &[("HTTPS_PROXY", "https://p.example/")],
                label("the proxy p.example:443 (HTTPS_PROXY)"),
            ),
            (&[("HTTPS_PROXY", "http://[::1]:3128")], label("the proxy [::1]:3128 (HTTPS_PROXY)")),
            (
                &[("ALL_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://h:2")],
                label("the proxy h:2 (HTTPS_PROXY)"),
            ),
            (
                &[("ALL_PROXY", "http://a:1"), ("HTTPS_PROXY", " ")],
                label("the proxy a:1 (ALL_PROXY)"),
            ),
            (&[("HTTP_PROXY", "http://p:1")], Ok(None)),
            (&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "x.example, upstash.com\n")], Ok(None)),
            (&[("HTTPS_PROXY", "http://p:1"), ("no_proxy", "*")], Ok(None)),
            (
                &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "stash.com")],
                label("the proxy p:1 (HTTPS_PROXY)"),
            ),
        ] {
            assert_eq!(proxy("https://api.upstash.com/v2/", variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn the_error_for_an_unusable_proxy_setting_names_the_variable() {
        for value in [
            "http://me:hunter2#ss@p.example:3128",
            "http://me:1234#hunter2@p.example:3128",
            "http://me:12?hunter2@p.example:3128",
            "http://me:12/hunter2@p.example:3128",
            "\"http://me:hunter2@p.example:3128\"",
            "'http://p.example:3128'",
            "http://me:hunter2@p.example:3128\nhttp://q",
            "http://me:hunter 2@p.example:3128",
            "socks5://me:hunter2@p.example:1080",
            "http://me:hunter2@p.example:99999",
            "http://",
            "http://me:hunter2@",
            "://",
            "\u{fffd}p.example",
        ] {
            for variable in PROXY_VARIABLES {
                let variables = [(variable, value)];
                let error = proxy("https://api.upstash.com/", &variables).unwrap_err();
                assert!(error.starts_with(&format!("{variable} cannot be used: ")), "{error}");
                assert!(!error.contains("hunter2") && !error.contains("1234"), "{error}");
                assert_eq!(proxy("http://127.0.0.1:1/", &variables), Ok(None), "{value}");
                assert_eq!(proxy("https://localhost/", &variables), Ok(None), "{value}");
            }
        }
        for value in ["\"api.upstash.com\"", "a\nb"] {
            let variables = [("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", value)];
            let error = proxy("https://api.upstash.com/", &variables).unwrap_err();
            assert!(error.starts_with("NO_PROXY cannot be used: "), "{error}");
        }
    }

    #[test]
    fn certificates_that_cannot_be_loaded_are_an_error_with_tls_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        for (name, text) in [
            ("empty", ""),
            ("junk", "junk"),
            ("broken", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
            ("good", certificate),
        ] {
            fs::write(path(name), text).unwrap();
        }
        let check = |base: &str, variable: &str, value: &str| {
            let variables = [(variable, value)];
            let checked = check_certificates(&Url::parse(base).unwrap(), &with(&variables));
            checked.map_err(|error| error.to_string())
        };
        for (variable, value, problem) in [
            ("SSL_CERT_FILE", path("missing"), "no such file or directory"),
            ("SSL_CERT_FILE", path("empty"), "contains no PEM certificate"),
            ("SSL_CERT_FILE", path("junk"), "contains no PEM certificate"),
            ("SSL_CERT_FILE", path("broken"), "not a bundle of PEM certificates"),
            ("SSL_CERT_FILE", path("."), "not a regular file"),
            ("SSL_CERT_FILE", "/dev/null".to_owned(), "not a regular file"),
            ("SSL_CERT_DIR", path("missing"), "no such file or directory"),
            ("SSL_CERT_DIR", path("good"), "not a directory"),
        ] {
            let error = check("https://api.upstash.com/", variable, &value).unwrap_err();
            assert!(error.starts_with(&format!("{variable} cannot be used: {value}: ")), "{error}");
            assert!(error.ends_with(problem), "{error}");
            assert_eq!(check("http://127.0.0.1:1/", variable, &value), Ok(()));
        }
        assert_eq!(check("https://x.example/", "SSL_CERT_FILE", &path("good")), Ok(()));
        assert_eq!(check("https://x.example/", "SSL_CERT_FILE", " "), Ok(()));
        assert_eq!(check("https://x.example/", "SSL_CERT_DIR", &path(".")), Ok(()));
        for (name, problem) in [
            ("missing", "no such file or directory"),
            ("junk", "contains no PEM certificate"),
            // PEM, with something else than a certificate in it.
            ("good", "a certificate that cannot be used"),
        ] {
            let error = read_certificates("AWS_CA_BUNDLE", Path::new(&path(name))).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("AWS_CA_BUNDLE cannot be used: "), "{error}");
            assert!(error.ends_with(problem), "{error}");
        }
    }
}
