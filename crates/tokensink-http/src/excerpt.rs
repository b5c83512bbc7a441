//! Excerpts of texts from a server.
//!
//! A server, or a proxy in front of it, may echo the request or a token that this program does not
//! know yet. Known secrets are redacted elsewhere, by their whole value, so an excerpt never contains
//! a part of a word. Everything that looks like a token is redacted here.

/// The maximum length of an excerpt.
const MAX_CHARS: usize = 200;

/// The minimum length of a token. Shorter runs of letters and digits are names and numbers.
const SHORTEST_TOKEN: usize = 32;

const REDACTED: &str = "[redacted]";

/// Returns the beginning of `text` in one line without control characters: as many whole words as
/// fit, with `[redacted]` in place of everything that looks like a token. ARNs, host names and UUIDs
/// are kept.
pub fn excerpt(text: &str) -> String {
    let is_shown = |character: &char| character.is_whitespace() || !character.is_control();
    let printable: String = text.chars().filter(is_shown).collect();
    let mut line = String::new();
    for word in printable.split_whitespace().map(without_tokens) {
        let gap = if line.is_empty() { "" } else { " " };
        if line.chars().count() + gap.len() + word.chars().count() > MAX_CHARS {
            return line + gap + "…";
        }
        line.push_str(gap);
        line.push_str(&word);
    }
    line
}

/// Returns whether `text` could be a token: it is long, consists of the characters of tokens, and
/// contains both letters and digits.
pub fn looks_like_a_token(text: &str) -> bool {
    let has = |kind: fn(&char) -> bool| text.chars().any(|character| kind(&character));
    text.len() >= SHORTEST_TOKEN
        && text.chars().all(is_of_tokens)
        && has(char::is_ascii_alphabetic)
        && has(char::is_ascii_digit)
        && !is_uuid(text.trim_end_matches('.'))
}

fn without_tokens(word: &str) -> String {
    let (mut shown, mut rest) = (String::new(), word);
    while let Some(first) = rest.chars().next() {
        let run = beginning(rest, is_of_tokens);
        let name =
            beginning(rest, |character| is_of_tokens(character) || ":@*".contains(character));
        let (taken, instead) = if is_arn(name) {
            (name, name)
        } else if looks_like_a_token(run) {
            host_at_beginning(run).map_or((run, REDACTED), |host| (host, host))
        } else {
            let plain = &rest[..run.len().max(first.len_utf8())];
            (plain, plain)
        };
        shown.push_str(instead);
        rest = &rest[taken.len()..];
    }
    shown
}

fn beginning(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|character| !belongs(character)).unwrap_or(text.len())]
}

fn is_of_tokens(character: char) -> bool {
    character.is_ascii_alphanumeric() || "+/=_.-".contains(character)
}

/// Recognizes `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
fn is_arn(text: &str) -> bool {
    text.starts_with("arn:aws") && text.splitn(6, ':').count() == 6
}

/// Returns the host name at the beginning of `run`, including the slashes of a URL before it.
fn host_at_beginning(run: &str) -> Option<&str> {
    let slashes = beginning(run, |character| character == '/').len();
    let host = beginning(&run[slashes..], |character| character != '/');
    let labels = || host.trim_end_matches('.').split('.');
    let is_label = |label: &str| {
        (1..SHORTEST_TOKEN).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let ends_well = labels().next_back().is_some_and(|last| last.chars().all(char::is_alphabetic));
    (labels().count() >= 2 && labels().all(is_label) && ends_well)
        .then(|| &run[..slashes + host.len()])
}

fn is_uuid(text: &str) -> bool {
    let is_part = |part: &str, length| {
        part.len() == length && part.chars().all(|character| character.is_ascii_hexdigit())
    };
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 5
        && parts.iter().zip([8, 4, 4, 4, 12]).all(|(part, length)| is_part(part, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token in the form of QStash's tokens.
    const TOKEN: &str = "eyJVc2VySUQiOiJhIiwiUGFzc3dvcmQiOiIxMjM0NTY3ODkwIn0=";

    #[test]
    fn arns_hosts_and_ids_are_not_redacted() {
        for text in [
            "User: arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/me@example.com is not authorized",
            "on resource: \"arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/eu/qstash-AbCdEf\".",
            "could not reach secretsmanager.eu-central-1.amazonaws.com: UnrecognizedClientException",
            "https://vpce-0123456789abcdef0-abcdefgh.secretsmanager.eu-central-1.vpce.amazonaws.com:443",
            "no host qstash-eu-central-1.upstash.example.com.",
            "no QStash 99a4c327-31f0-4cba-9d5e-5d5f5a4b1c11.",
            "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z",
            "Resource not accessible by personal access token",
            "Grüße, 1 … 2",
        ] {
            assert_eq!(excerpt(text), text);
        }
    }

    #[test]
    fn an_unknown_token_is_redacted() {
        let hex = "0123456789abcdef0123456789abcdef";
        for token in
            [TOKEN, hex, "ghp_16C7e42F292c6912E7710c838347Ae178B4a", &format!("/{TOKEN}/a")]
        {
            for text in [
                format!("bad header Bearer {token}"),
                format!("Authorization:Bearer\u{0}{token}, see arn:aws:iam::1:user/me"),
                format!("[{{\"error\":\"{token}\"}}]"),
                format!("token={token}."),
                format!("https://qstash.upstash.io/v2?token={token}&x=1"),
                format!("arn:aws:s3:::x,{token}"),
                format!("Ünïcödé→{token}"),
            ] {
                let shown = excerpt(&text);
                assert!(shown.contains(REDACTED) && !shown.contains(&token[4..12]), "{shown}");
            }
        }
    }

    #[test]
    fn an_excerpt_contains_only_whole_words() {
        // Too short to be recognized as a token, so the caller must find the whole value to redact it.
        let secret = "a-secret-of-27-characters-1";
        for length in 150..220 {
            let before = "x ".repeat(length / 2);
            let shown = excerpt(&format!("{before}{secret} {before}"));
            let words: Vec<&str> = shown.split(' ').collect();
            assert!(shown.chars().count() <= MAX_CHARS + 2, "{shown}");
            assert!(words.iter().all(|word| ["x", secret, "…"].contains(word)), "{shown}");
        }
        assert_eq!(excerpt(&"y".repeat(201)), "…");
    }

    #[test]
    fn an_excerpt_is_one_line() {
        assert_eq!(excerpt(" one\r\n\ttwo\u{1b}[31m three\u{7}\n"), "one two[31m three");
        assert_eq!(excerpt("\n"), "");
    }
}
