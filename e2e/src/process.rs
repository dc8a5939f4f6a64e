//! Processes of the cluster's nodes, which are containers on this machine.

use std::fs;

use anyhow::Context as _;

/// Resident memory, in MiB, of the largest process of `program` with this first argument.
pub fn largest_resident_mib(program: &str, argument: &str) -> anyhow::Result<u64> {
    fs::read_dir("/proc")?
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            // Processes come and go: one that cannot be read is none of ours.
            let command = fs::read_to_string(folder.join("cmdline")).ok()?;
            let mut words = command.split('\0');
            let ours =
                words.next()?.rsplit('/').next() == Some(program) && words.next() == Some(argument);
            ours.then(|| fs::read_to_string(folder.join("status")).ok())
                .flatten()
        })
        .filter_map(|status| resident_kib(&status))
        .max()
        .map(|kib| kib.div_ceil(1024))
        .with_context(|| {
            format!(
                "no process `{program} {argument}`; the cluster's nodes have to run on this machine"
            )
        })
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_a_status_file() {
        assert_eq!(
            resident_kib("Name:\tcachebus\nVmRSS:\t   20480 kB\n"),
            Some(20_480)
        );
        assert_eq!(resident_kib("Name:\tkthread\n"), None);
    }
}
