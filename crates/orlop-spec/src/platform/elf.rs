//! For which architecture a program is made, as its ELF header says.

/// GOARCH of an ELF file, from its first 20 bytes; `None` where they are no ELF header or one that Go has no
/// name for.
///
/// ```text
/// 0        4       5       6            18        20
/// ├ 7f ELF ┼ class ┼ order ┼────────────┼ machine ┤
/// ```
pub fn architecture_of_elf(header: &[u8]) -> Option<&'static str> {
    if header.len() < 20 || !header.starts_with(b"\x7fELF") {
        return None;
    }
    let (class, order) = (header[4], header[5]);
    let little = match order {
        LITTLE => true,
        BIG => false,
        _ => return None,
    };
    let machine = [header[18], header[19]];
    let machine = if little { u16::from_le_bytes(machine) } else { u16::from_be_bytes(machine) };
    MACHINES.iter().find(|row| (row.0, row.1, row.2) == (machine, class, order)).map(|row| row.3)
}

const NARROW: u8 = 1;
const WIDE: u8 = 2;
const LITTLE: u8 = 1;
const BIG: u8 = 2;

/// Machine, class, byte order, GOARCH (System V ABI, chapter 4, and its processor supplements).
const MACHINES: [(u16, u8, u8, &str); 21] = [
    (2, NARROW, BIG, "sparc"),
    (3, NARROW, LITTLE, "386"),
    (8, NARROW, BIG, "mips"),
    (8, NARROW, LITTLE, "mipsle"),
    (8, WIDE, BIG, "mips64"),
    (8, WIDE, LITTLE, "mips64le"),
    (20, NARROW, BIG, "ppc"),
    (21, WIDE, BIG, "ppc64"),
    (21, WIDE, LITTLE, "ppc64le"),
    (22, NARROW, BIG, "s390"),
    (22, WIDE, BIG, "s390x"),
    (40, NARROW, LITTLE, "arm"),
    (40, NARROW, BIG, "armbe"),
    (43, WIDE, BIG, "sparc64"),
    (62, WIDE, LITTLE, "amd64"),
    (62, NARROW, LITTLE, "amd64"),
    (183, WIDE, LITTLE, "arm64"),
    (183, WIDE, BIG, "arm64be"),
    (243, NARROW, LITTLE, "riscv"),
    (243, WIDE, LITTLE, "riscv64"),
    (258, WIDE, LITTLE, "loong64"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::{ARCHITECTURES, Platform};

    #[test]
    fn this_very_program_is_made_for_this_machine() {
        let own = std::fs::read("/proc/self/exe").expect("the test program");
        let host = Platform::from_machine("linux", std::env::consts::ARCH);
        assert_eq!(architecture_of_elf(&own), Some(&*host.architecture));
    }

    #[test]
    fn what_is_no_elf_has_no_architecture() {
        let mut header = [0; 64];
        header[..6].copy_from_slice(b"\x7fELF\x02\x01");
        header[18] = 62;
        assert_eq!(architecture_of_elf(&header), Some("amd64"));
        assert_eq!(architecture_of_elf(&header[..19]), None);
        header[5] = 3;
        assert_eq!(architecture_of_elf(&header), None);
        assert_eq!(architecture_of_elf(b"#!/bin/sh"), None);
    }

    #[test]
    fn every_name_is_one_of_go() {
        assert!(MACHINES.iter().all(|row| ARCHITECTURES.contains(&row.3)));
    }
}
