//! The JSON documents of GitHub's responses, with all fields that its OpenAPI description requires.

use serde_json::{Map, Value, json};

use super::state::{FakeRepository, Role};

const API: &str = "https://api.github.com";
const SITE: &str = "https://github.com";
const LONG_AGO: &str = "2026-01-01T00:00:00Z";

/// Fields with a URL below the repository's own.
const BELOW_REPOSITORY: &[(&str, &str)] = &[
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
    ("url", ""),
];

/// Fields with a URL below the owner's own.
const BELOW_OWNER: &[(&str, &str)] = &[
    ("events_url", "/events{/privacy}"),
    ("followers_url", "/followers"),
    ("following_url", "/following{/other_user}"),
    ("gists_url", "/gists{/gist_id}"),
    ("organizations_url", "/orgs"),
    ("received_events_url", "/received_events"),
    ("repos_url", "/repos"),
    ("starred_url", "/starred{/owner}{/repo}"),
    ("subscriptions_url", "/subscriptions"),
    ("url", ""),
];

/// Returns a repository as an element of a minimal list.
pub(super) fn minimal_repository(id: u64, full_name: &str) -> Value {
    Value::Object(in_a_list(id, full_name))
}

/// Returns a repository as an element of an organization's list.
pub(super) fn listed_repository(repository: &FakeRepository) -> Value {
    let mut document = in_a_list(repository.id, &repository.name);
    document.extend(state_of(repository));
    Value::Object(document)
}

/// Returns a repository as a single document.
pub(super) fn full_repository(repository: &FakeRepository) -> Value {
    let full_name = &repository.name;
    let mut document = in_a_list(repository.id, full_name);
    document.extend(state_of(repository));
    let more = json!({
        "clone_url": format!("{SITE}/{full_name}.git"),
        "created_at": LONG_AGO,
        "default_branch": "main",
        "disabled": false,
        "forks": 0,
        "forks_count": 0,
        "git_url": format!("git://github.com/{full_name}.git"),
        "has_discussions": false,
        "has_issues": true,
        "has_pages": false,
        "has_projects": true,
        "has_wiki": true,
        "homepage": null,
        "language": null,
        "license": null,
        "mirror_url": null,
        "network_count": 0,
        "open_issues": 0,
        "open_issues_count": 0,
        "pushed_at": LONG_AGO,
        "size": 1,
        "ssh_url": format!("git@github.com:{full_name}.git"),
        "stargazers_count": 0,
        "subscribers_count": 0,
        "svn_url": format!("{SITE}/{full_name}"),
        "updated_at": LONG_AGO,
        "watchers": 0,
        "watchers_count": 0,
    });
    if let Value::Object(more) = more {
        document.extend(more);
    }
    Value::Object(document)
}

/// Returns the fields that depend on the caller and on the repository's state.
fn state_of(repository: &FakeRepository) -> [(String, Value); 3] {
    let (admin, push) = (repository.role >= Role::Admin, repository.role >= Role::Write);
    let permissions =
        json!({"admin": admin, "maintain": admin, "push": push, "triage": push, "pull": true});
    [
        ("archived".to_owned(), json!(repository.archived)),
        ("private".to_owned(), json!(repository.is_private)),
        ("permissions".to_owned(), permissions),
    ]
}

/// Returns the document of a repository's environment.
pub(super) fn environment(repository: &FakeRepository, name: &str) -> Value {
    let full_name = &repository.name;
    json!({
        "id": 1,
        "node_id": "EN_1",
        "name": name,
        "url": format!("{API}/repos/{full_name}/environments/{name}"),
        "html_url": format!("{SITE}/{full_name}/deployments"),
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO,
    })
}

fn in_a_list(id: u64, full_name: &str) -> Map<String, Value> {
    let (login, name) = full_name.split_once('/').unwrap_or((full_name, full_name));
    let own = format!("{API}/repos/{full_name}");
    let mut document = addresses(&own, BELOW_REPOSITORY);
    let more = json!({
        "id": id,
        "node_id": format!("R_{id}"),
        "name": name,
        "full_name": full_name,
        "owner": owner(login),
        "private": true,
        "html_url": format!("{SITE}/{full_name}"),
        "description": null,
        "fork": false,
    });
    if let Value::Object(more) = more {
        document.extend(more);
    }
    document
}

fn owner(login: &str) -> Value {
    let mut document = addresses(&format!("{API}/users/{login}"), BELOW_OWNER);
    let more = json!({
        "login": login,
        "id": 1,
        "node_id": "O_1",
        "avatar_url": format!("{SITE}/{login}.png"),
        "gravatar_id": "",
        "html_url": format!("{SITE}/{login}"),
        "type": "Organization",
        "site_admin": false,
    });
    if let Value::Object(more) = more {
        document.extend(more);
    }
    Value::Object(document)
}

fn addresses(own: &str, below: &[(&str, &str)]) -> Map<String, Value> {
    let address =
        |(field, rest): &(&str, &str)| ((*field).to_owned(), json!(format!("{own}{rest}")));
    below.iter().map(address).collect()
}
