package main

import _ "storj.io/uplink" // the calls come next
