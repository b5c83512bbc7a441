//! Parses the hosts that the user allows: `HOST` for every port, or `HOST:PORT`.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;
use tokensink_core::HostPolicy;

/// A host that the user allows, as normalized by a URL parser.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

/// The error for a text that is not a host. The message contains the correct form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", shown(text))]
pub struct AllowedHostError {
    text: String,
    problem: String,
}

impl AllowedHost {
    /// Returns whether `url` has this host and port. Without a port, it is the default port of the
    /// URL's scheme.
    pub fn is_exactly(&self, url: &Url) -> bool {
        let usual = if url.scheme() == "http" { 80 } else { 443 };
        url.host_str() == Some(&self.host)
            && url.port_or_known_default() == Some(self.port.unwrap_or(usual))
    }

    /// Adds this host to the allowed hosts of `policy`.
    pub fn add_to(&self, policy: &mut HostPolicy) {
        policy.allowed.insert(self.to_string());
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl FromStr for AllowedHost {
    type Err = AllowedHostError;

    fn from_str(text: &str) -> Result<Self, AllowedHostError> {
        let error = |problem: String| AllowedHostError { text: text.to_owned(), problem };
        if text.is_empty() {
            return Err(error("write HOST or HOST:PORT".to_owned()));
        }
        if text.contains('*') {
            let problem = "wildcards are not supported: write each host as HOST or HOST:PORT";
            return Err(error(problem.to_owned()));
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(error("a host contains no blanks: separate hosts by commas".to_owned()));
        }
        if let Some(forbidden) = text.chars().find(|c| "/\\?#@%".contains(*c)) {
            let problem = match suggestion(text) {
                Some(host) => format!("this is not a host alone: write {host}"),
                None => format!("a host contains no `{forbidden}`: write HOST or HOST:PORT"),
            };
            return Err(error(problem));
        }
        let (host, port) = split_port(text).map_err(error)?;
        let port = port.map(parse_port).transpose().map_err(error)?;
        let host = check_host(host).map_err(error)?;
        Ok(Self { host, port })
    }
}

/// Returns the host that was probably meant, if `text` is a URL.
fn suggestion(text: &str) -> Option<AllowedHost> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()))?;
    let host = check_host(url.host_str()?).ok()?;
    Some(AllowedHost { host, port: url.port() })
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), String> {
    if text.starts_with('[') {
        let Some(end) = text.find(']') else {
            return Err("the bracket is not closed: write [ADDRESS] or [ADDRESS]:PORT".to_owned());
        };
        let (host, rest) = text.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("write [ADDRESS] or [ADDRESS]:PORT".to_owned()),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => {
            Err(format!("write an IPv6 address in brackets: [{text}]"))
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let is_canonical = !text.starts_with('0') && text.bytes().all(|digit| digit.is_ascii_digit());
    let port = text.parse().ok().filter(|_| is_canonical);
    port.ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
}

/// Returns the host as normalized by a URL parser. A text that the parser changes to another host is
/// rejected, because the host that the user sees must be the host that is compared.
fn check_host(text: &str) -> Result<String, String> {
    let lowercase = text.to_ascii_lowercase();
    let url = Url::parse(&format!("https://{lowercase}/")).ok();
    let parsed = url.as_ref().and_then(Url::host_str).filter(|host| !host.is_empty());
    let Some(parsed) = parsed else {
        return Err("this is not a host: write HOST or HOST:PORT".to_owned());
    };
    if let Some(name) = parsed.strip_suffix('.') {
        return Err(format!("write it without the dot at the end: {name}"));
    }
    if !text.is_ascii() {
        return Err(format!("write an internationalized name in its ASCII form: {parsed}"));
    }
    if parsed != lowercase {
        return Err(format!("write it as {parsed}"));
    }
    Ok(parsed.to_owned())
}

/// Quotes `text` without the part before an `@`, which may contain a password.
fn shown(text: &str) -> String {
    let shown =
        text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, rest)| format!("…@{rest}"));
    format!("`{}`", shown.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_normalized_like_in_a_url() {
        for (text, form) in [
            ("git.acme.example", "git.acme.example"),
            ("GIT.acme.example:8443", "git.acme.example:8443"),
            ("git.acme.example:443", "git.acme.example:443"),
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]", "[::1]"),
            ("[::1]:65535", "[::1]:65535"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<AllowedHost>().unwrap().to_string(), form);
        }
    }

    #[test]
    fn the_error_for_an_invalid_host_contains_the_correct_form() {
        for (text, help) in [
            ("", "write HOST or HOST:PORT"),
            ("https://git.acme.example", "write git.acme.example"),
            ("https://git.acme.example:8443/api/v3", "write git.acme.example:8443"),
            ("git.acme.example/api", "no `/`"),
            ("//git.acme.example", "no `/`"),
            ("me@git.acme.example", "no `@`"),
            ("git%2eacme.example", "no `%`"),
            ("git.acme.example?x", "no `?`"),
            ("git.acme.example#x", "no `#`"),
            ("git\\acme", "no `\\`"),
            ("*", "wildcards"),
            ("*.acme.example", "wildcards"),
            ("a.example b.example", "no blanks"),
            ("a.example\u{0}", "no blanks"),
            ("git.acme.example:", "from 1 to 65535"),
            ("git.acme.example:0", "from 1 to 65535"),
            ("git.acme.example:65536", "from 1 to 65535"),
            ("git.acme.example:-1", "from 1 to 65535"),
            ("git.acme.example:+1", "from 1 to 65535"),
            ("git.acme.example:0443", "from 1 to 65535"),
            ("git.acme.example:x", "from 1 to 65535"),
            (":443", "not a host"),
            ("::1", "in brackets: [::1]"),
            ("[::1", "not closed"),
            ("[::1]443", "[ADDRESS]:PORT"),
            ("[::x]", "not a host"),
            ("[127.0.0.1]", "not a host"),
            ("[0:0:0:0:0:0:0:1]", "write it as [::1]"),
            ("127.1", "write it as 127.0.0.1"),
            ("2130706433", "write it as 127.0.0.1"),
            ("0x7f.0.0.1", "write it as 127.0.0.1"),
            ("0177.0.0.1", "write it as 127.0.0.1"),
            ("127.0.0.01", "write it as 127.0.0.1"),
            ("127.0.0.256", "not a host"),
            ("git.acme.example.", "write it without the dot at the end: git.acme.example"),
            ("bücher.example", "ASCII form: xn--bcher-kva.example"),
            ("ｅｖｉｌ.example", "ASCII form: evil.example"),
        ] {
            let error = text.parse::<AllowedHost>().unwrap_err().to_string();
            assert!(error.contains(help), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let error = "https://me:hunter2@host".parse::<AllowedHost>().unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
