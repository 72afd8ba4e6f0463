module imagxp.example/host

go 1.19
