// The warden: makes sandboxes and is PID 1 in each. Everything it does is in Confinement.

import Confinement

Warden.main(CommandLine.arguments)
