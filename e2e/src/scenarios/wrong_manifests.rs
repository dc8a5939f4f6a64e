//! Row 8: wrong manifests are refused with the field's path, and hurt nobody else.
