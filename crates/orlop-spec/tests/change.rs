//! `--change` judged by two peers: `tests/change/recorded.jsonl` holds what podman's `import --change` and
//! buildah's Dockerfile made of each line (`tests/change/record.sh`, with their versions in the first line).

use orlop_spec::change;
use orlop_spec::config::Execution;
use serde_json::{Value, json};

/// Who is right about a line, where the peers do not agree or both are wrong.
enum Right {
    Podman,
    Dockerfile,
    Neither(Value),
}
use Right::{Dockerfile, Neither, Podman};

/// Podman reads `--change` by a parser of its own. Docker documents the Dockerfile's grammar for it.
const WORDS: &str = "podman takes all that follows as one pair";
const QUOTES: &str = "podman keeps quotes and escapes";
const FORM: &str = "podman does not know the form `NAME VALUE`";
const VARIABLES: &str = "podman does not replace variables";
const ABSENT: &str = "podman does not know the instruction, or loses it on its way to an OCI config";

fn rulings() -> Vec<(&'static str, Right, &'static str)> {
    vec![
        (
            r#"CMD ["a", 1]"#,
            Dockerfile,
            "docker refuses arrays of anything but strings; podman makes a shell command",
        ),
        ("ENV A=b C=d", Dockerfile, WORDS),
        (r#"ENV A="b c" D='e f'"#, Dockerfile, WORDS),
        (r"ENV A=b\ c", Dockerfile, QUOTES),
        ("ENV A b c", Dockerfile, FORM),
        (r#"ENV A "b c""#, Dockerfile, FORM),
        ("ENV A=1 ;; ENV A=2 B=3", Dockerfile, WORDS),
        ("ENV A=1 ;; ENV B=$A C=${A}x", Dockerfile, VARIABLES),
        ("ENV A=1 B=$A", Dockerfile, VARIABLES),
        (r#"ENV A='$B' C="\$D" E=\$F"#, Dockerfile, WORDS),
        ("ENV B=${N:-dflt} C=${N:+set}", Dockerfile, VARIABLES),
        ("ENV A", Dockerfile, "docker demands a value"),
        ("ENV =b", Podman, "docker refuses an empty name; buildah does not"),
        (r#"ENV A="open"#, Dockerfile, QUOTES),
        ("LABEL a=b c=d", Dockerfile, WORDS),
        (r#"LABEL a="b c" "d e"="f g""#, Dockerfile, WORDS),
        ("LABEL a b c", Dockerfile, FORM),
        (r#"LABEL com.example.note="with \"quotes\"""#, Dockerfile, QUOTES),
        ("LABEL a='single $A'", Dockerfile, QUOTES),
        (r#"LABEL multi="x\"#, Dockerfile, QUOTES),
        ("EXPOSE 53/udp 80", Dockerfile, "podman takes one port without a protocol of its own"),
        (
            "EXPOSE 8000-8002",
            ports(&["8000/tcp", "8001/tcp", "8002/tcp"]),
            "docker names each port of a range",
        ),
        (
            "EXPOSE 8000-8001/UDP",
            ports(&["8000/udp", "8001/udp"]),
            "docker names each port of a range, in lower case",
        ),
        ("EXPOSE 80/sctp", Dockerfile, "podman does not know sctp here"),
        ("EXPOSE abc", Podman, "no port; buildah does not look"),
        ("EXPOSE 70000", Podman, "no port; buildah does not look"),
        ("ENV P=8080 ;; EXPOSE $P", Dockerfile, VARIABLES),
        ("WORKDIR /srv/../etc/./x", Podman, "one spelling of one folder; buildah keeps what was said"),
        ("WORKDIR rel", Dockerfile, "a folder of an image is absolute"),
        (r#"WORKDIR "/quoted""#, Dockerfile, QUOTES),
        ("ENV D=/d ;; WORKDIR $D/x", Dockerfile, VARIABLES),
        ("VOLUME data", Neither(json!("refused")), "no runtime can mount a relative path"),
        ("STOPSIGNAL SIGINT", Dockerfile, "podman writes the number that the name has on its own machine"),
        ("HEALTHCHECK NONE", Dockerfile, ABSENT),
        ("HEALTHCHECK CMD curl -f localhost", Dockerfile, ABSENT),
        (r#"HEALTHCHECK CMD ["curl","x"]"#, Dockerfile, ABSENT),
        ("HEALTHCHECK --interval=5m --timeout=3s --start-period=1s --retries=4 CMD x", Dockerfile, ABSENT),
        ("ONBUILD RUN make", Dockerfile, ABSENT),
        ("ONBUILD COPY . /src ;; ONBUILD RUN make -C /src", Dockerfile, ABSENT),
        ("ONBUILD FROM x", Dockerfile, ABSENT),
        ("ONBUILD ONBUILD RUN x", Dockerfile, ABSENT),
    ]
}

fn ports(names: &[&str]) -> Right {
    let ports: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    Neither(json!({ "ExposedPorts": ports }))
}

#[test]
fn r3_changes_are_read_as_the_peers_read_them() {
    let rulings = rulings();
    let records = include_str!("change/recorded.jsonl").lines().skip(1);
    let records: Vec<Value> = records.map(|line| serde_json::from_str(line).expect("a record")).collect();
    assert!(records.len() >= 40, "the table is there");
    for (line, ..) in &rulings {
        assert!(records.iter().any(|record| record["line"] == *line), "a ruling about no record: {line}");
    }
    for record in &records {
        let line = record["line"].as_str().expect("a line");
        let (podman, dockerfile) = (&record["podman"], &record["buildah"]);
        let found = ours(line);
        match rulings.iter().find(|(ruled, ..)| *ruled == line) {
            None => {
                assert_eq!(podman, dockerfile, "{line}: the peers differ, so a ruling is needed");
                assert_eq!(&found, podman, "{line}");
            }
            Some((_, right, why)) => {
                let expected = match right {
                    Podman => podman,
                    Dockerfile => dockerfile,
                    Neither(expected) => {
                        assert!(expected != podman && expected != dockerfile, "{line}: no ruling is needed");
                        expected
                    }
                };
                assert!(podman != dockerfile || matches!(right, Neither(_)), "{line}: no ruling is needed");
                assert_eq!(&found, expected, "{line}: {why}");
            }
        }
    }
}

/// What we make of a case, in the form of the records.
fn ours(line: &str) -> Value {
    let instructions: Vec<_> = line.split(";;").map(str::trim).collect();
    let Ok(execution) = change::apply(Execution::default(), instructions) else { return json!("refused") };
    let Ok(Value::Object(mut members)) = serde_json::to_value(execution) else {
        panic!("{line}: a config is an object")
    };
    members.retain(|_, value| *value != json!([]) && *value != json!({}));
    Value::Object(members)
}

#[test]
fn several_lines_are_one_instruction_where_a_backslash_joins_them() {
    let env =
        |text: &str| change::apply(Execution::default(), [text]).map(|execution| execution.env.join("|"));
    assert_eq!(env("ENV A=1 \\\n    B=2").as_deref(), Ok("A=1|B=2"));
    assert!(env("ENV A=1\nENV B=2").is_err());
}
