"""The bridge and its peers on a real Storj network; see ../README.md."""
