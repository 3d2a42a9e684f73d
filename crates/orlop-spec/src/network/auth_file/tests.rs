use super::*;

fn find(file: &str, form: AuthForm, repository: &str) -> Result<Found, SettingsError> {
    let repository = Repository::parse(repository).expect("a repository");
    AuthFile::parse(file.as_bytes(), form)?.find(&repository)
}

fn user(found: &Result<Found, SettingsError>) -> &str {
    match found {
        Ok(Found::Credential(Credential::Basic { user, .. })) => user,
        Ok(Found::Credential(Credential::Refresh(token) | Credential::Bearer(token))) => token,
        Ok(Found::Helper(helper)) => &helper.name,
        Ok(Found::Nothing) => "-",
        Err(_) => "!",
    }
}

/// Whose `auth` is it: `a:p`, `b:p` and so on.
const KEYS: &str = r#"{"auths":{
    "host.example/foo/bar/image":{"auth":"YTpw"},
    "host.example/foo":{"auth":"Yjpw"},
    "host.example":{"auth":"Yzpw"},
    "https://index.docker.io/v1/":{"auth":"ZDpw"},
    "https://old.example/v2/":{"auth":"ZTpw"},
    "part.example/only":{"auth":"Zjpw"},
    "id.example":{"auth":"Zzpw","identitytoken":"refresh"},
    "token.example":{"registrytoken":"bearer"},
    "plain.example":{"username":"h","password":"p"},
    "empty.example":{},
    "bad.example":{"auth":"%%%"}
}}"#;

/// The same table is put to skopeo by the proof `hosts: whose secret skopeo sends`.
#[test]
fn the_most_specific_key_wins() {
    for (repository, whose) in [
        ("host.example/foo/bar/image", "a"),
        ("host.example/foo/bar/other", "b"),
        ("host.example/foobar", "c"),
        ("host.example/x", "c"),
        ("host.example:5000/x", "-"),
        ("busybox", "d"),
        ("index.docker.io/me/app", "d"),
        ("registry-1.docker.io/library/busybox", "d"),
        ("old.example/x", "e"),
        ("part.example/only/x", "f"),
        ("part.example/other", "-"),
        ("id.example/x", "refresh"),
        ("token.example/x", "bearer"),
        ("plain.example/x", "h"),
        ("empty.example/x", "-"),
        ("bad.example/x", "!"),
    ] {
        assert_eq!(user(&find(KEYS, AuthForm::Whole, repository)), whose, "{repository}");
    }
}

#[test]
fn a_helper_of_the_host_comes_first_and_a_store_last() {
    let file = r#"{"auths":{"a.example":{"auth":"YTpw"},"b.example":{"auth":"Yjpw"},"c.example":{}},
        "credHelpers":{"a.example":"own","docker.io":"hub"},"credsStore":"all"}"#;
    for (repository, whose) in
        [("a.example/x", "own"), ("b.example/x", "b"), ("c.example/x", "all"), ("busybox", "hub")]
    {
        assert_eq!(user(&find(file, AuthForm::Whole, repository)), whose, "{repository}");
    }
    let Ok(Found::Helper(hub)) = find(r#"{"credsStore":"all"}"#, AuthForm::Whole, "busybox") else {
        panic!("the store is asked")
    };
    assert_eq!((hub.program().as_str(), hub.server()), ("docker-credential-all", HUB));
}

#[test]
fn a_helper_is_a_name_and_no_path() {
    for name in ["../../tmp/x", "a/b", "", "a b", "a\\u0000", "$(id)"] {
        let file = format!(r#"{{"credHelpers":{{"a.example":"{name}"}}}}"#);
        assert_eq!(user(&find(&file, AuthForm::Whole, "a.example/x")), "!", "{name}");
    }
}

#[test]
fn the_legacy_file_has_hosts_on_top() {
    let file = r#"{"https://index.docker.io/v1/":{"auth":"YTpw"},"b.example/v1/":{"auth":"Yjpw"}}"#;
    assert_eq!(user(&find(file, AuthForm::Legacy, "busybox")), "a");
    assert_eq!(user(&find(file, AuthForm::Legacy, "b.example/any/thing")), "b");
    assert_eq!(user(&find(file, AuthForm::Legacy, "c.example/x")), "-");
}

#[test]
fn no_secret_is_printed() {
    let file = AuthFile::parse(KEYS.as_bytes(), AuthForm::Whole).expect("valid");
    let found = find(KEYS, AuthForm::Whole, "id.example/x").expect("found");
    let text = format!("{file:?} {found:?}");
    for secret in ["YTpw", "refresh", "bearer"] {
        assert!(!text.contains(secret), "{text}");
    }
    for broken in [
        r#"{"auths":"hunter2"}"#,
        r#"{"auths":{"a.example":{"auth":"hunter2"}}}"#,
        r#"{"auths":{"a.example":{"auth":"aHVudGVyMg=="}}}"#,
        r#"{"auths":{"a.example":{"auth":"hunter2"#,
        r#"["hunter2"]"#,
    ] {
        let error = find(broken, AuthForm::Whole, "a.example/x").expect_err(broken);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let helper = Helper { name: "x".into(), server: "y".into() };
    let error = helper.answered(br#"{"Secret":"hunter2"}"#).expect_err("no user");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn a_change_leaves_the_rest_alone() {
    let text =
        r#"{"HttpHeaders":{"X":"1"},"auths":{"a.example":{"auth":"YTpw","email":"e"},"b.example":{}}}"#;
    let mut file = AuthFile::parse(text.as_bytes(), AuthForm::Whole).expect("valid");
    let login = |user: &str| Credential::Basic { user: user.into(), password: "p:q".into() };
    file.set("a.example", &login("z")).expect("set");
    file.set("docker.io", &login("hub")).expect("set");
    let back: Value = serde_json::from_slice(&file.print()).expect("JSON");
    assert_eq!(back["HttpHeaders"]["X"], "1");
    assert_eq!(back["auths"]["a.example"]["email"], "e");
    assert_eq!(user(&find(&back.to_string(), AuthForm::Whole, "a.example/x")), "z");
    assert_eq!(user(&find(&back.to_string(), AuthForm::Whole, "busybox")), "hub");

    assert!(file.remove("registry-1.docker.io").expect("removed"));
    assert!(file.remove("a.example").expect("removed"));
    assert!(!file.remove("a.example").expect("it was gone already"));
    let back: Value = serde_json::from_slice(&file.print()).expect("JSON");
    assert_eq!(back["auths"], serde_json::json!({"b.example": {}}));
    assert!(file.set("a.example", &login("a:b")).is_err());
}

#[test]
fn a_new_file_takes_a_secret() {
    let mut file = AuthFile::new();
    file.set("a.example", &Credential::Refresh("r".into())).expect("set");
    assert_eq!(
        file.print(),
        b"{\n\t\"auths\": {\n\t\t\"a.example\": {\n\t\t\t\"identitytoken\": \"r\"\n\t\t}\n\t}\n}\n"
    );
}

#[test]
fn every_spelling_of_a_place_gets_the_new_secret() {
    let text = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpw"},"docker.io":{"auth":"Yjpw"}}}"#;
    let mut file = AuthFile::parse(text.as_bytes(), AuthForm::Whole).expect("valid");
    file.set("docker.io", &Credential::Refresh("new".into())).expect("set");
    let text = String::from_utf8(file.print()).expect("text");
    assert_eq!(text.matches("new").count(), 2, "{text}");
    assert_eq!(user(&find(&text, AuthForm::Whole, "busybox")), "new");
}

#[test]
fn a_helper_speaks_its_protocol() {
    let helper = Helper { name: "x".into(), server: "a.example".into() };
    let login = Credential::Basic { user: "u".into(), password: "p".into() };
    let stored = helper.stored(&login).expect("a message");
    assert_eq!(stored, br#"{"ServerURL":"a.example","Username":"u","Secret":"p"}"#);
    assert_eq!(helper.answered(&stored).expect("an answer"), Some(login));
    let token = helper.stored(&Credential::Refresh("r".into())).expect("a message");
    assert_eq!(helper.answered(&token).expect("an answer"), Some(Credential::Refresh("r".into())));
    assert!(helper.stored(&Credential::Bearer("b".into())).is_err());
}
