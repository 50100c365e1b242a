module storj-bridge/native

go 1.26
