//! `cachebus`: what developers have on their machines. The operator's program is another one and is nowhere but in its image.

use std::process::ExitCode;

fn main() -> ExitCode {
    cachebus_dev::main(std::env::args_os()).into()
}
