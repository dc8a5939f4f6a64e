//! The folders of a pod, made below one.

use cachebus_backup::Layout;
use std::fs;
use std::path::Path;

pub fn below(root: &Path) -> Layout {
    let folder = |name: &str| {
        let path = root.join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    Layout {
        s3_dir: folder("s3"),
        s3_ca_dir: folder("s3-ca"),
        age_dir: folder("age"),
        backup_dir: folder("backup"),
        auth_dir: folder("auth"),
        tls_dir: folder("tls"),
        work_dir: folder("work"),
        data_dir: folder("data"),
    }
}
