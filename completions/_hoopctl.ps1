
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'hoopctl' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'hoopctl'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'hoopctl' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('login', 'login', [CompletionResultType]::ParameterValue, 'Log in to a gateway, in the browser or with a workload''s token')
            [CompletionResult]::new('logout', 'logout', [CompletionResultType]::ParameterValue, 'End the login and forget its secrets')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show who is logged in, where and until when')
            [CompletionResult]::new('models', 'models', [CompletionResultType]::ParameterValue, 'List the models you may use')
            [CompletionResult]::new('connect', 'connect', [CompletionResultType]::ParameterValue, 'Open a local door to models, or run a command with one')
            [CompletionResult]::new('ps', 'ps', [CompletionResultType]::ParameterValue, 'List background connections')
            [CompletionResult]::new('stop', 'stop', [CompletionResultType]::ParameterValue, 'End background connections')
            [CompletionResult]::new('call', 'call', [CompletionResultType]::ParameterValue, 'Send one request to a model: stdin → model → stdout')
            [CompletionResult]::new('audit', 'audit', [CompletionResultType]::ParameterValue, 'Read the gateway''s audit log')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print a shell''s completion script')
            [CompletionResult]::new('demo', 'demo', [CompletionResultType]::ParameterValue, 'See the whole system work, in one process, without network or setup')
            [CompletionResult]::new('gateway', 'gateway', [CompletionResultType]::ParameterValue, 'Set up, check and run a gateway')
            break
        }
        'hoopctl;login' {
            [CompletionResult]::new('--ca-fingerprint', '--ca-fingerprint', [CompletionResultType]::ParameterName, 'Believe the gateway only by a certificate authority with this SHA-256, `sha256:HEX`')
            [CompletionResult]::new('--ca-file', '--ca-file', [CompletionResultType]::ParameterName, 'Believe the gateway only by the certificate authorities of this PEM file')
            [CompletionResult]::new('--callback-port', '--callback-port', [CompletionResultType]::ParameterName, 'The loopback port the browser comes back to [default: any free one]')
            [CompletionResult]::new('--workload-token-file', '--workload-token-file', [CompletionResultType]::ParameterName, 'Log in as a workload, with the token in this file [env: HOOPCTL_WORKLOAD_TOKEN, the token itself]')
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('--no-browser', '--no-browser', [CompletionResultType]::ParameterName, 'Print the address to visit and open no browser')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;logout' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;status' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;models' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;connect' {
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'The loopback port; 0 for any free one [default: the model''s own, the same every time]')
            [CompletionResult]::new('--socket', '--socket', [CompletionResultType]::ParameterName, 'A Unix socket instead of a port, only for this user')
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('--stdio', '--stdio', [CompletionResultType]::ParameterName, 'One stream between stdin and stdout and the model, instead of a port')
            [CompletionResult]::new('--local-key', '--local-key', [CompletionResultType]::ParameterName, 'Every request must present a key: HOOPCTL_LOCAL_KEY, or else a new one that is shown')
            [CompletionResult]::new('--background', '--background', [CompletionResultType]::ParameterName, 'Serve in the background; see `hoopctl ps` and `hoopctl stop`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'hoopctl;ps' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;stop' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'End them all')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;call' {
            [CompletionResult]::new('-X', '-X ', [CompletionResultType]::ParameterName, 'The method [default: POST with data, GET without]')
            [CompletionResult]::new('--method', '--method', [CompletionResultType]::ParameterName, 'The method [default: POST with data, GET without]')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'A header; may be repeated')
            [CompletionResult]::new('--header', '--header', [CompletionResultType]::ParameterName, 'A header; may be repeated')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'The body: @- is stdin, @FILE a file, anything else itself')
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The body: @- is stdin, @FILE a file, anything else itself')
            [CompletionResult]::new('--concurrency', '--concurrency', [CompletionResultType]::ParameterName, 'How many lines are under way at once')
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('--jsonl', '--jsonl', [CompletionResultType]::ParameterName, 'Each line of the data (stdin unless said) is a request; each answer is a line, in the same order')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'hoopctl;audit' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('query', 'query', [CompletionResultType]::ParameterValue, 'Show events, the newest last')
            break
        }
        'hoopctl;audit;query' {
            [CompletionResult]::new('--since', '--since', [CompletionResultType]::ParameterName, 'Not before: RFC 3339, or how long ago, such as 30m, 12h or 7d')
            [CompletionResult]::new('--until', '--until', [CompletionResultType]::ParameterName, 'Not after: RFC 3339, or how long ago')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Only of this user')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'Only of this model')
            [CompletionResult]::new('--kind', '--kind', [CompletionResultType]::ParameterName, 'Only of this kind: exchange, login, login_failed, renewal …')
            [CompletionResult]::new('--exchange', '--exchange', [CompletionResultType]::ParameterName, 'Only of this exchange')
            [CompletionResult]::new('--session', '--session', [CompletionResultType]::ParameterName, 'Only of this session')
            [CompletionResult]::new('--verdict', '--verdict', [CompletionResultType]::ParameterName, 'Only with this verdict')
            [CompletionResult]::new('--after', '--after', [CompletionResultType]::ParameterName, 'Only after this cursor, the `next` of an earlier answer')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'At most this many')
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;completions' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'hoopctl;demo' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Keep the gateway''s files here [default: a folder that is removed in the end]')
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('--once', '--once', [CompletionResultType]::ParameterName, 'End after one answer: exit 0 only if it came through the tunnel')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;gateway' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Write a first gateway.toml and policies into a folder')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Run the gateway until SIGTERM or Ctrl-C')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Find every mistake in gateway.toml and its policies, offline')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Say what policy answers to whom, and why, offline')
            [CompletionResult]::new('ca', 'ca', [CompletionResultType]::ParameterValue, 'The gateway''s own certificate authority')
            break
        }
        'hoopctl;gateway;init' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;gateway;run' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;gateway;check' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('--policy-tests', '--policy-tests', [CompletionResultType]::ParameterName, 'Also ask the policies every case of this file, and name those answered otherwise than expected')
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;gateway;explain' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Who asks: email, name or subject, as `hoopctl status` shows it')
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'A group the user is in; may be repeated')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'The model asked for')
            [CompletionResult]::new('--action', '--action', [CompletionResultType]::ParameterName, 'What the user wants to do')
            [CompletionResult]::new('--provider', '--provider', [CompletionResultType]::ParameterName, 'The identity provider the user comes from, as gateway.toml names it')
            [CompletionResult]::new('--method', '--method', [CompletionResultType]::ParameterName, 'The request''s method')
            [CompletionResult]::new('--path', '--path', [CompletionResultType]::ParameterName, 'The request''s path')
            [CompletionResult]::new('--requested-model', '--requested-model', [CompletionResultType]::ParameterName, 'The model named in the request itself')
            [CompletionResult]::new('--source-ip', '--source-ip', [CompletionResultType]::ParameterName, 'The address the user comes from')
            [CompletionResult]::new('--over', '--over', [CompletionResultType]::ParameterName, 'The carrier the user comes over')
            [CompletionResult]::new('--at', '--at', [CompletionResultType]::ParameterName, 'When, such as 2026-11-23T07:15:00Z [default: now]')
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('--approved', '--approved', [CompletionResultType]::ParameterName, 'As if a person had approved it')
            [CompletionResult]::new('--workload', '--workload', [CompletionResultType]::ParameterName, 'The user is a workload, not a person')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;gateway;ca' {
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('fingerprint', 'fingerprint', [CompletionResultType]::ParameterValue, 'Print the authority''s SHA-256, for `hoopctl login --ca-fingerprint`')
            [CompletionResult]::new('export', 'export', [CompletionResultType]::ParameterValue, 'Print the authority''s certificate as PEM, for `hoopctl login --ca-file`')
            break
        }
        'hoopctl;gateway;ca;fingerprint' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'The gateway''s state folder, instead of its configuration')
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'hoopctl;gateway;ca;export' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'The gateway''s state folder, instead of its configuration')
            [CompletionResult]::new('--gateway', '--gateway', [CompletionResultType]::ParameterName, 'The gateway''s address; the profile''s unless said [env: HOOPCTL_GATEWAY]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]')
            [CompletionResult]::new('--credential-store', '--credential-store', [CompletionResultType]::ParameterName, 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]')
            [CompletionResult]::new('--transport', '--transport', [CompletionResultType]::ParameterName, 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
