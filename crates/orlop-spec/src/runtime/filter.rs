//! The filter of system calls (runtime-spec, `config-linux.md`, "Seccomp").
//!
//! Invariant: a call that the filter does not know "is not there" (`ENOSYS`), so that programs do without it; one that it
//! knows and refuses is not permitted (`EPERM`). `docs/decisions/0014-filter-of-system-calls.md` says where the lists are
//! from.

use super::machine::CAPABILITIES;
use crate::json::{self, JsonError};
use crate::platform::Platform;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A filter as it stands in a runtime's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filter(Value);

impl Filter {
    /// What programs in containers need, for whoever has the capabilities that containers get.
    pub fn standard(host: &Platform) -> Self {
        let machine = Machine::of(host);
        let allowed: Vec<&str> = ALLOWED.split_whitespace().chain(machine.allowed.iter().copied()).collect();
        let refused: Vec<&str> = REFUSED.split_whitespace().collect();
        let mut rules = vec![
            json!({ "action": "SCMP_ACT_ALLOW", "names": allowed }),
            json!({ "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM, "names": refused }),
        ];
        rules.extend(PERSONALITIES.map(|value| {
            let is_it = json!({ "index": 0, "op": "SCMP_CMP_EQ", "value": value });
            json!({ "action": "SCMP_ACT_ALLOW", "args": [is_it], "names": ["personality"] })
        }));
        Self(json!({
            "architectures": machine.architectures,
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": ENOSYS,
            "syscalls": rules,
        }))
    }

    /// Reads a filter: as the runtime-spec has it, or a profile of docker and podman, of which the rules for this machine and
    /// for the capabilities that containers get are taken. Any kernel that a rule asks for is taken for ours: a rule for newer
    /// kernels is one, a rule that newer kernels are without is none.
    ///
    /// # Errors
    /// Where it is none, or says something that is not known: also an error by a word that is not `EPERM` or `ENOSYS` and has
    /// no number beside it.
    pub fn parse(bytes: &[u8], host: &Platform) -> Result<Self, JsonError> {
        let profile: Profile = json::parse(bytes)?;
        profile.for_machine(&Machine::of(host)).map(Self)
    }

    /// The member `seccomp` of a configuration.
    pub(super) fn to_value(&self) -> Value {
        self.0.clone()
    }
}

/// What a profile can tell machines apart by.
struct Machine {
    /// In the words of profiles.
    names: &'static [&'static str],
    /// Whose calls are filtered; where none is named, only the kernel's own calls can be made.
    architectures: &'static [&'static str],
    /// Calls that only it has.
    allowed: &'static [&'static str],
}

impl Machine {
    fn of(host: &Platform) -> Self {
        const OF_ARM: &[&str] = &[
            "arm_fadvise64_64",
            "arm_sync_file_range",
            "breakpoint",
            "cacheflush",
            "set_tls",
            "sync_file_range2",
        ];
        const OF_S390: &[&str] = &["s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"];
        let (names, architectures, allowed): (&'static [_], &'static [_], &'static [_]) = match &*host
            .in_go_names()
            .architecture
        {
            "amd64" => (
                &["amd64", "x32"],
                &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                &["arch_prctl", "modify_ldt"],
            ),
            "386" => (&["x86"], &["SCMP_ARCH_X86"], &["modify_ldt"]),
            "arm64" => (&["arm64"], &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"], OF_ARM),
            "arm" => (&["arm"], &["SCMP_ARCH_ARM"], OF_ARM),
            "mips64" => (&["mips64"], &["SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64N32"], &[]),
            "mips64le" => {
                (&["mipsel64"], &["SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64N32"], &[])
            }
            "ppc64le" => (&["ppc64le"], &["SCMP_ARCH_PPC64LE"], &["sync_file_range2"]),
            "riscv64" => (&["riscv64"], &["SCMP_ARCH_RISCV64"], &[]),
            "s390x" => (&["s390x", "s390"], &["SCMP_ARCH_S390X", "SCMP_ARCH_S390"], OF_S390),
            _ => (&[], &[], &[]),
        };
        Self { names, architectures, allowed }
    }
}

/// A filter in a file, in either form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Profile {
    default_action: Action,
    default_errno_ret: Option<u32>,
    /// The same as a word.
    default_errno: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    arch_map: Vec<Family>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

/// An architecture and those whose calls its kernel knows as well.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Family {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    names: Vec<String>,
    name: Option<String>,
    action: Action,
    args: Option<Vec<Argument>>,
    errno_ret: Option<u32>,
    errno: Option<String>,
    #[serde(default, rename = "comment")]
    _comment: Option<String>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

/// On which machines, and for which capabilities, a rule is one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: Comparison,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Action {
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Comparison {
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
}

impl Profile {
    fn for_machine(self, machine: &Machine) -> Result<Value, JsonError> {
        let own = machine.architectures.first();
        let mut architectures = self.architectures;
        let family = self.arch_map.into_iter().find(|family| Some(&&*family.architecture) == own);
        if let Some(Family { architecture, sub_architectures }) = family {
            architectures.push(architecture);
            architectures.extend(sub_architectures.unwrap_or_default());
        }
        let rules = self.syscalls.into_iter().filter(|rule| rule.is_for(machine)).map(Rule::into_value);
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        let mut filter = json!({ "defaultAction": self.default_action, "syscalls": rules });
        if let Some(number) = number(self.default_errno_ret, self.default_errno.as_deref())? {
            filter["defaultErrnoRet"] = number.into();
        }
        for (name, words) in [("architectures", architectures), ("flags", self.flags)] {
            if !words.is_empty() {
                filter[name] = words.into();
            }
        }
        Ok(filter)
    }
}

/// The number of an error, which may stand there as a word alone.
fn number(number: Option<u32>, word: Option<&str>) -> Result<Option<u32>, JsonError> {
    match (number, word) {
        (Some(number), _) => Ok(Some(number)),
        (None, None | Some("")) => Ok(None),
        (None, Some("EPERM")) => Ok(Some(EPERM)),
        (None, Some("ENOSYS")) => Ok(Some(ENOSYS)),
        (None, Some(word)) => Err(JsonError::said(format!("the error {word} has no number beside it"))),
    }
}

impl Rule {
    fn is_for(&self, machine: &Machine) -> bool {
        self.includes.as_ref().is_none_or(|it| it.is_met(machine))
            && self.excludes.as_ref().is_none_or(|it| !it.is_touched(machine))
    }

    fn into_value(self) -> Result<Value, JsonError> {
        let mut names = self.names;
        names.extend(self.name);
        let mut rule = json!({ "action": self.action, "names": names });
        if let Some(number) = number(self.errno_ret, self.errno.as_deref())? {
            rule["errnoRet"] = number.into();
        }
        if let Some(arguments) = self.args.filter(|arguments| !arguments.is_empty()) {
            rule["args"] = json!(arguments);
        }
        Ok(rule)
    }
}

impl Condition {
    /// All capabilities, and one of the machines where some are named.
    fn is_met(&self, machine: &Machine) -> bool {
        let has_all = self.caps.iter().flatten().all(|it| CAPABILITIES.contains(&&**it));
        let arches = self.arches.as_deref().unwrap_or_default();
        has_all && (arches.is_empty() || arches.iter().any(|it| machine.names.contains(&&**it)))
    }

    /// One of them; a kernel that is named is older than ours.
    fn is_touched(&self, machine: &Machine) -> bool {
        self.min_kernel.as_deref().is_some_and(|kernel| !kernel.is_empty())
            || self.caps.iter().flatten().any(|it| CAPABILITIES.contains(&&**it))
            || self.arches.iter().flatten().any(|it| machine.names.contains(&&**it))
    }
}

/// Of Linux.
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Execution domains: Linux, with 32 bits, each with the uname of version 2.6, and the question which one it is.
const PERSONALITIES: [u32; 5] = [0, 0x8, 0x2_0000, 0x2_0008, u32::MAX];

/// What programs need, and what namespaces and capabilities confine already.
const ALLOWED: &str = "\
    _llseek _newselect accept accept4 access adjtimex alarm bind brk capget capset chdir chmod chown chown32 chroot \
    clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep \
    clock_nanosleep_time64 clone clone3 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create \
    epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve \
    execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod \
    fchmodat fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsconfig \
    fsetxattr fsmount fsopen fspick fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex \
    futex_time64 futimesat get_mempolicy get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid \
    getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid \
    getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname \
    getsockopt gettid gettimeofday getuid getuid32 getxattr inotify_add_watch inotify_init inotify_init1 \
    inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit ioctl ioprio_get ioprio_set ipc keyctl \
    kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat \
    listen listxattr llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise mbind membarrier memfd_create \
    memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mount mount_setattr move_mount \
    mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 \
    mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep \
    newfstatat open open_tree openat openat2 pause pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 pivot_root \
    pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 \
    process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 \
    read readahead readdir readlink readlinkat readv reboot recv recvfrom recvmmsg recvmmsg_time64 recvmsg \
    remap_file_pages removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending \
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 \
    rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr \
    sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 \
    send sendfile sendfile64 sendmmsg sendmsg sendto set_mempolicy set_robust_list set_thread_area set_tid_address \
    setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setns setpgid \
    setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid \
    setsockopt setuid setuid32 setxattr shmat shmctl shmdt shmget shutdown sigaction sigaltstack signal signalfd \
    signalfd4 sigpending sigprocmask sigreturn sigsuspend socket socketcall socketpair splice stat stat64 statfs \
    statfs64 statx symlink symlinkat sync sync_file_range syncfs syscall sysinfo syslog tee tgkill time timer_create \
    timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd timerfd_create \
    timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit \
    umask umount umount2 uname unlink unlinkat unshare utime utimensat utimensat_time64 utimes vfork wait4 waitid \
    waitpid write writev";

/// What has a history of holes, is of no use in a container, or needs capabilities that it does not have.
const REFUSED: &str = "\
    acct bdflush bpf clock_settime clock_settime64 delete_module fanotify_init finit_module init_module \
    io_pgetevents ioperm iopl kcmp kexec_file_load kexec_load lookup_dcookie migrate_pages move_pages nfsservctl \
    nice oldfstat oldlstat oldolduname oldstat olduname open_by_handle_at pciconfig_iobase pciconfig_read \
    pciconfig_write perf_event_open process_madvise query_module quotactl setdomainname sethostname settimeofday \
    sgetmask ssetmask stime swapcontext swapoff swapon sysfs uselib userfaultfd ustat vhangup vm86 vm86old vmsplice";

#[cfg(test)]
mod tests {
    use super::*;

    fn amd64() -> Platform {
        "linux/amd64".parse().expect("a platform")
    }

    fn parsed(text: &str) -> Option<Value> {
        Filter::parse(text.as_bytes(), &amd64()).map(|filter| filter.to_value()).ok()
    }

    #[test]
    fn no_call_is_both_allowed_and_refused_and_lists_are_sorted() {
        let [allowed, refused] = [ALLOWED, REFUSED].map(|list| list.split_whitespace().collect::<Vec<_>>());
        assert!(allowed.is_sorted_by(|one, two| one < two) && refused.is_sorted_by(|one, two| one < two));
        assert!(allowed.iter().all(|call| !refused.contains(call)));
        assert!(allowed.contains(&"openat2") && refused.contains(&"kexec_load"));
    }

    #[test]
    fn a_filter_that_was_written_is_read_as_it_is() {
        let standard = Filter::standard(&amd64());
        let bytes = serde_json::to_vec(&standard).expect("printed");
        let mut read = Filter::parse(&bytes, &amd64()).expect("read").to_value();
        for rule in read["syscalls"].as_array_mut().expect("a list") {
            if let Some(arguments) = rule.get_mut("args") {
                arguments[0].as_object_mut().expect("an object").remove("valueTwo");
            }
        }
        assert_eq!(read, standard.to_value());
    }

    #[test]
    fn rules_of_a_profile_are_chosen_by_machine_and_capabilities() {
        let profile = r#"{
            "defaultAction": "SCMP_ACT_ERRNO",
            "archMap": [{ "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] },
                        { "architecture": "SCMP_ARCH_AARCH64" }],
            "syscalls": [
                { "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": null, "includes": {}, "excludes": {} },
                { "names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_SYS_ADMIN"] } },
                { "names": ["b"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_SYS_CHROOT"] } },
                { "names": ["c"], "action": "SCMP_ACT_ALLOW", "includes": { "arches": ["arm64"] } },
                { "names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": { "arches": ["x32"] } },
                { "names": ["e"], "action": "SCMP_ACT_TRAP", "excludes": { "caps": ["CAP_CHOWN"] } },
                { "name": "f", "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "excludes": { "arches": ["s390x"] } }
            ]
        }"#;
        let allow = |name: &str| json!({ "action": "SCMP_ACT_ALLOW", "names": [name] });
        let expected = json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
            "syscalls": [
                allow("read"), allow("b"), allow("d"),
                { "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "names": ["f"] },
            ],
        });
        assert_eq!(parsed(profile), Some(expected));
    }

    #[test]
    fn a_rule_that_newer_kernels_are_without_is_none() {
        let rules = |condition: &str| {
            let rule = format!(r#"{{"names":["ptrace"],"action":"SCMP_ACT_ALLOW",{condition}}}"#);
            let filter = parsed(&format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{rule}]}}"#))
                .expect("a filter");
            filter["syscalls"].as_array().expect("a list").len()
        };
        assert_eq!(rules(r#""includes":{"minKernel":"4.8"}"#), 1);
        assert_eq!(rules(r#""excludes":{"minKernel":""}"#), 1);
        assert_eq!(rules(r#""excludes":{"minKernel":"4.8"}"#), 0);
    }

    #[test]
    fn an_error_by_its_word_is_known_or_refused() {
        let filter = |default: &str, rule: &str| {
            parsed(&format!(
                r#"{{"defaultAction":"SCMP_ACT_ERRNO",{default},
                    "syscalls":[{{"names":["bpf"],"action":"SCMP_ACT_ERRNO",{rule}}}]}}"#
            ))
        };
        let known = filter(r#""defaultErrno":"ENOSYS""#, r#""errno":"EPERM""#).expect("both are known");
        assert_eq!((&known["defaultErrnoRet"], &known["syscalls"][0]["errnoRet"]), (&json!(38), &json!(1)));
        let numbers =
            filter(r#""defaultErrno":"EIO","defaultErrnoRet":5"#, r#""errno":"EPERM","errnoRet":7"#);
        let numbers = numbers.expect("the numbers count");
        assert_eq!(
            (&numbers["defaultErrnoRet"], &numbers["syscalls"][0]["errnoRet"]),
            (&json!(5), &json!(7))
        );
        assert_eq!(filter(r#""defaultErrno":"EIO""#, r#""errno":"EPERM""#), None);
        assert_eq!(filter(r#""defaultErrno":"ENOSYS""#, r#""errno":"EIO""#), None);
    }

    #[test]
    fn what_is_no_filter_or_says_what_is_not_known_is_refused() {
        for bad in [
            "{}",
            "[]",
            r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/x"}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"EQ"}]}]}"#,
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
