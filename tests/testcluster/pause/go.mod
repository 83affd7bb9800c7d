module lightcompute.dev/testcluster/pause

go 1.25.0
