//! The grammar of sloci-image 0.1.2: options end at the first operand or at `--`; a value follows its option as
//! the next word. Beyond it, as getopt has it: `--name=value`, and short options in one word.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// `-h`
    Help,
    /// `-V`
    Version,
    /// An image.
    Image(Box<Options>),
}

/// An image to be made.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Folder or tar of the root file system.
    pub rootfs: PathBuf,
    /// Folder of the layout, or the beginning of the archive's name.
    pub name: OsString,
    /// `latest` if none is given.
    pub tag: String,
    /// As given; the name of an archive holds it.
    pub arch: Option<String>,
    pub arch_variant: Option<String>,
    pub os: Option<String>,
    pub author: Option<String>,
    pub cmd: Vec<String>,
    pub entrypoint: Vec<String>,
    /// `NAME=VALUE`
    pub env: Vec<String>,
    /// Keys are expanded.
    pub labels: Vec<(String, String)>,
    pub ports: Vec<String>,
    pub volumes: Vec<String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub form: Form,
    pub debug: bool,
}

/// What is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A folder with a layout.
    #[default]
    Folder,
    /// The same in a tar.
    Archive,
}

/// Why a command line is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    #[error("unknown option: {0}")]
    Unknown(String),
    #[error("the option {0} needs a value")]
    NoValue(String),
    #[error("the value of {0} is empty")]
    Empty(String),
    #[error("the option {0} takes no value")]
    NeedlessValue(String),
    #[error("invalid option: {option} {value}: it has no `=`")]
    NoEquals { option: String, value: String },
    #[error("{0} is not valid UTF-8")]
    NotText(String),
    #[error("ROOTFS and NAME are needed, and nothing else")]
    Operands,
}

/// An option by its meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Arch,
    ArchVariant,
    Author,
    Cmd,
    Debug,
    Entrypoint,
    Env,
    Help,
    Label,
    Os,
    Port,
    Tar,
    User,
    Version,
    Volume,
    WorkingDir,
}

/// Short and long names.
const NAMES: [(Option<u8>, &str, Meaning); 17] = [
    (Some(b'm'), "arch", Meaning::Arch),
    (None, "arch-variant", Meaning::ArchVariant),
    (Some(b'a'), "author", Meaning::Author),
    (Some(b'c'), "cmd", Meaning::Cmd),
    (None, "debug", Meaning::Debug),
    (Some(b'C'), "entrypoint", Meaning::Entrypoint),
    (Some(b'e'), "env", Meaning::Env),
    (Some(b'h'), "help", Meaning::Help),
    (Some(b'l'), "label", Meaning::Label),
    (None, "os", Meaning::Os),
    (Some(b'p'), "port", Meaning::Port),
    (None, "expose", Meaning::Port),
    (Some(b't'), "tar", Meaning::Tar),
    (Some(b'u'), "user", Meaning::User),
    (Some(b'V'), "version", Meaning::Version),
    (Some(b'v'), "volume", Meaning::Volume),
    (Some(b'w'), "working-dir", Meaning::WorkingDir),
];

impl Meaning {
    fn takes_value(self) -> bool {
        !matches!(self, Self::Debug | Self::Help | Self::Tar | Self::Version)
    }
}

/// Whether there is an option of this long name.
pub fn takes(name: &str) -> bool {
    NAMES.iter().any(|(_, known, _)| *known == name)
}

/// Parses the words after the program's name.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, Misuse> {
    let mut words = words.into_iter().map(OsString::into_vec).peekable();
    let mut options = Options::default();
    while let Some(word) = words.next_if(|word| word.starts_with(b"-")) {
        if word == b"--" {
            break;
        }
        for (meaning, name, value) in read(&word, &mut words)? {
            match meaning {
                Meaning::Help => return Ok(Request::Help),
                Meaning::Version => return Ok(Request::Version),
                _ => options.set(meaning, name, value)?,
            }
        }
    }
    let operands: Vec<Vec<u8>> = words.collect();
    let [rootfs, name] = <[Vec<u8>; 2]>::try_from(operands).map_err(|_| Misuse::Operands)?;
    options.operands(rootfs, name)?;
    Ok(Request::Image(Box::new(options)))
}

type Given = (Meaning, String, Vec<u8>);

/// The options in one word, the last one with its value.
fn read(word: &[u8], rest: &mut impl Iterator<Item = Vec<u8>>) -> Result<Vec<Given>, Misuse> {
    match word.strip_prefix(b"--") {
        Some(long) => read_long(long, rest).map(|given| vec![given]),
        None => read_cluster(&word[1..], rest),
    }
}

fn read_long(long: &[u8], rest: &mut impl Iterator<Item = Vec<u8>>) -> Result<Given, Misuse> {
    let (name, value) = match long.iter().position(|byte| *byte == b'=') {
        Some(equals) => (&long[..equals], Some(long[equals + 1..].to_vec())),
        None => (long, None),
    };
    let shown = format!("--{}", String::from_utf8_lossy(name));
    let found = NAMES.iter().find(|(_, known, _)| known.as_bytes() == name);
    let meaning = found.map(|(_, _, meaning)| *meaning).ok_or_else(|| Misuse::Unknown(shown.clone()))?;
    match (meaning.takes_value(), value) {
        (true, Some(value)) => Ok((meaning, shown, value)),
        (true, None) => with_next(meaning, shown, rest),
        (false, None) => Ok((meaning, shown, Vec::new())),
        (false, Some(_)) => Err(Misuse::NeedlessValue(shown)),
    }
}

fn read_cluster(letters: &[u8], rest: &mut impl Iterator<Item = Vec<u8>>) -> Result<Vec<Given>, Misuse> {
    if letters.is_empty() {
        return Err(Misuse::Unknown("-".into()));
    }
    let mut given = Vec::new();
    for (position, letter) in letters.iter().enumerate() {
        let shown = format!("-{}", char::from(*letter));
        let found = NAMES.iter().find(|(short, _, _)| *short == Some(*letter));
        let meaning = found.map(|(_, _, meaning)| *meaning).ok_or_else(|| Misuse::Unknown(shown.clone()))?;
        match (meaning.takes_value(), &letters[position + 1..]) {
            (false, _) => given.push((meaning, shown, Vec::new())),
            (true, []) => given.push(with_next(meaning, shown, rest)?),
            (true, value) => {
                given.push((meaning, shown, value.to_vec()));
                break;
            }
        }
    }
    Ok(given)
}

fn with_next(
    meaning: Meaning,
    shown: String,
    rest: &mut impl Iterator<Item = Vec<u8>>,
) -> Result<Given, Misuse> {
    let value = rest.next().ok_or_else(|| Misuse::NoValue(shown.clone()))?;
    Ok((meaning, shown, value))
}

impl Options {
    fn set(&mut self, meaning: Meaning, name: String, value: Vec<u8>) -> Result<(), Misuse> {
        let value = String::from_utf8(value).map_err(|_| Misuse::NotText(name.clone()))?;
        match meaning {
            Meaning::Arch => self.arch = Some(not_empty(name, value)?),
            Meaning::ArchVariant => self.arch_variant = Some(not_empty(name, value)?),
            Meaning::Os => self.os = Some(not_empty(name, value)?),
            Meaning::Author => self.author = Some(value),
            Meaning::Cmd => self.cmd.push(value),
            Meaning::Entrypoint => self.entrypoint.push(value),
            Meaning::Env => {
                pair(&name, &value)?;
                self.env.push(value);
            }
            Meaning::Label => {
                let (key, text) = pair(&name, &value)?;
                self.labels.push((expand(key), text.to_owned()));
            }
            Meaning::Port => self.ports.push(not_empty(name, value)?),
            Meaning::Volume => self.volumes.push(not_empty(name, value)?),
            Meaning::User => self.user = Some(value),
            Meaning::WorkingDir => self.working_dir = Some(value),
            Meaning::Debug => self.debug = true,
            Meaning::Tar => self.form = Form::Archive,
            Meaning::Help | Meaning::Version => {}
        }
        Ok(())
    }

    /// `NAME[:TAG]`: the tag stands after the last colon, unless a slash follows it: then the colon was that of a
    /// port or a path.
    fn operands(&mut self, rootfs: Vec<u8>, name: Vec<u8>) -> Result<(), Misuse> {
        let colon =
            name.iter().rposition(|byte| *byte == b':').filter(|colon| !name[*colon..].contains(&b'/'));
        let (name, tag) = match colon {
            Some(colon) => (name[..colon].to_vec(), name[colon + 1..].to_vec()),
            None => (name, b"latest".to_vec()),
        };
        let tag = String::from_utf8(tag).map_err(|_| Misuse::NotText("TAG".into()))?;
        self.tag = not_empty("TAG".into(), tag)?;
        self.name = OsString::from_vec(name);
        self.rootfs = PathBuf::from(OsString::from_vec(rootfs));
        let empty = [("NAME", self.name.is_empty()), ("ROOTFS", self.rootfs.as_os_str().is_empty())];
        match empty.iter().find(|(_, is_empty)| *is_empty) {
            Some((operand, _)) => Err(Misuse::Empty((*operand).into())),
            None => Ok(()),
        }
    }
}

fn not_empty(name: String, value: String) -> Result<String, Misuse> {
    if value.is_empty() { Err(Misuse::Empty(name)) } else { Ok(value) }
}

fn pair<'v>(name: &str, value: &'v str) -> Result<(&'v str, &'v str), Misuse> {
    value.split_once('=').ok_or_else(|| Misuse::NoEquals { option: name.to_owned(), value: value.to_owned() })
}

/// A leading dot stands for the prefix of the image specification's own annotations.
fn expand(key: &str) -> String {
    if key.starts_with('.') { format!("org.opencontainers.image{key}") } else { key.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: &[&str]) -> Result<Request, Misuse> {
        parse(words.iter().map(OsString::from))
    }

    fn options(words: &[&str]) -> Options {
        match request(words) {
            Ok(Request::Image(options)) => *options,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn what_buildroot_calls_is_understood() {
        let parsed = options(&[
            "--arch",
            "arm",
            "--arch-variant",
            "v7",
            "--entrypoint",
            "/bin/sh",
            "--entrypoint",
            "-c",
            "--cmd",
            "echo  two  spaces; id",
            "--author",
            "A <a@b>",
            "--user",
            "1000:100",
            "--label",
            ".url=https://x/?a=b",
            "--env",
            "A=",
            "--port",
            "53/udp",
            "--tar",
            "target",
            "images/rootfs-oci:latest",
        ]);
        assert_eq!((parsed.arch.as_deref(), parsed.arch_variant.as_deref()), (Some("arm"), Some("v7")));
        assert_eq!(parsed.entrypoint, ["/bin/sh", "-c"]);
        assert_eq!(parsed.cmd, ["echo  two  spaces; id"]);
        assert_eq!(parsed.labels, [("org.opencontainers.image.url".into(), "https://x/?a=b".into())]);
        assert_eq!(
            (parsed.env, parsed.ports, parsed.form),
            (vec!["A=".into()], vec!["53/udp".into()], Form::Archive)
        );
        assert_eq!((parsed.name.to_str(), parsed.tag.as_str()), (Some("images/rootfs-oci"), "latest"));
    }

    #[test]
    fn values_follow_stick_or_stand_after_an_equals_sign() {
        for words in [
            &["-m", "x86", "r", "n"] as &[_],
            &["-mx86", "r", "n"],
            &["--arch=x86", "r", "n"],
            &["-tmx86", "r", "n"],
        ] {
            assert_eq!(options(words).arch.as_deref(), Some("x86"), "{words:?}");
        }
        assert_eq!(options(&["-tc", "-x", "r", "n"]).cmd, ["-x"]);
    }

    #[test]
    fn options_end_at_the_first_operand() {
        assert_eq!(request(&["r", "-t", "n"]), Err(Misuse::Operands));
        assert_eq!(options(&["--", "-r", "n"]).rootfs, PathBuf::from("-r"));
    }

    #[test]
    fn a_tag_has_no_slash_so_a_port_is_no_tag() {
        let parsed = options(&["r", "localhost:5000/x"]);
        assert_eq!((parsed.name.to_str(), parsed.tag.as_str()), (Some("localhost:5000/x"), "latest"));
        assert_eq!(options(&["r", "localhost:5000/x:1"]).tag, "1");
    }

    #[test]
    fn misuse_has_a_reason() {
        let cases: [(&[&str], Misuse); 7] = [
            (&[], Misuse::Operands),
            (&["--no", "r", "n"], Misuse::Unknown("--no".into())),
            (&["-tZ", "r", "n"], Misuse::Unknown("-Z".into())),
            (&["--arch"], Misuse::NoValue("--arch".into())),
            (&["--arch", "", "r", "n"], Misuse::Empty("--arch".into())),
            (&["--tar=x", "r", "n"], Misuse::NeedlessValue("--tar".into())),
            (&["-e", "A", "r", "n"], Misuse::NoEquals { option: "-e".into(), value: "A".into() }),
        ];
        for (words, misuse) in cases {
            assert_eq!(request(words), Err(misuse), "{words:?}");
        }
    }

    #[test]
    fn help_and_version_win_where_they_stand() {
        assert_eq!(request(&["-t", "-h", "--no"]), Ok(Request::Help));
        assert_eq!(request(&["--version"]), Ok(Request::Version));
    }

    #[test]
    fn b6_values_are_kept_as_they_are_typed() {
        let hostile = "a\"b\\nc\\@\\d\u{1}\n\u{e9}";
        let label = format!("k={hostile}");
        let parsed = options(&["-e", &format!("E={hostile}"), "-l", &label, "-c", hostile, "r", "n"]);
        assert_eq!(parsed.env, [format!("E={hostile}")]);
        assert_eq!(parsed.labels, [("k".to_owned(), hostile.to_owned())]);
        assert_eq!(parsed.cmd, [hostile]);
    }
}
