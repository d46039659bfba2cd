# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_hoopctl_global_optspecs
    string join \n gateway= profile= o/output= q/quiet v/verbose color= credential-store= transport= h/help V/version
end

function __fish_hoopctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_hoopctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_hoopctl_using_subcommand
    set -l cmd (__fish_hoopctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c hoopctl -n "__fish_hoopctl_needs_command" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_needs_command" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_needs_command" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_needs_command" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_needs_command" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_needs_command" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_needs_command" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "login" -d 'Log in to a gateway, in the browser or with a workload\'s token'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "logout" -d 'End the login and forget its secrets'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "status" -d 'Show who is logged in, where and until when'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "models" -d 'List the models you may use'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "connect" -d 'Open a local door to models, or run a command with one'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "ps" -d 'List background connections'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "stop" -d 'End background connections'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "call" -d 'Send one request to a model: stdin → model → stdout'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "approvals" -d 'See, give and refuse approvals'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "token" -d 'Print a short-lived key for one model, for tools that call the gateway themselves'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "revoke" -d 'End the sessions and live streams of a user, or one session'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "sessions" -d 'See who did what with which model, and play recordings'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "audit" -d 'Read the gateway\'s audit log'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "doctor" -d 'Find out what is in the way between this machine and a gateway'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "completions" -d 'Print a shell\'s completion script'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "demo" -d 'See the whole system work, in one process, without network or setup'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "gateway" -d 'Set up, check and run a gateway'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l ca-fingerprint -d 'Believe the gateway only by a certificate authority with this SHA-256, `sha256:HEX`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l ca-file -d 'Believe the gateway only by the certificate authorities of this PEM file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l provider -d 'Sign in with this identity provider of the gateway, instead of choosing one there [env: HOOPCTL_PROVIDER]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l callback-port -d 'The loopback port the browser comes back to [default: any free one]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l workload-token-file -d 'Log in as a workload, with the token in this file [env: HOOPCTL_WORKLOAD_TOKEN_FILE; HOOPCTL_WORKLOAD_TOKEN is the token itself]' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l browser -d 'Open this machine\'s browser, whatever the surroundings or an earlier login suggest'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l no-browser -d 'Print the address to visit and open no browser; what the browser ends on can be pasted here'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l device -d 'Show a code that any browser, also a telephone\'s, can confirm'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand status" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand status" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand status" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand status" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand status" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand status" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand status" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand status" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand models" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand models" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand models" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand models" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand models" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand models" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand models" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand models" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand models" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l port -d 'The loopback port; 0 for any free one [default: the model\'s own, the same every time]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l socket -d 'A Unix socket instead of a port, only for this user' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l reason -d 'Why you need the model, for the people who may approve it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l stdio -d 'One stream between stdin and stdout and the model, instead of a port'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l local-key -d 'Every request must present a key: HOOPCTL_LOCAL_KEY, or else a new one that is shown'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l background -d 'Serve in the background; see `hoopctl ps` and `hoopctl stop`'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l no-wait -d 'Do not wait for somebody\'s approval: exit 75 with its id'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ps" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ps" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ps" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ps" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ps" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ps" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ps" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ps" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ps" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand stop" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand stop" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand stop" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand stop" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand stop" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand stop" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand stop" -l all -d 'End them all'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand stop" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand stop" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand stop" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -s X -l method -d 'The method [default: POST with data, GET without]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -s H -l header -d 'A header; may be repeated' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -s d -l data -d 'The body: @- is stdin, @FILE a file, anything else itself' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -l concurrency -d 'How many lines are under way at once' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -l reason -d 'Why you need the model, for the people who may approve it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -l jsonl -d 'Each line of the data (stdin unless said) is a request; each answer is a line, in the same order'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -l no-wait -d 'Do not wait for somebody\'s approval: exit 75 with its id'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand call" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -f -a "list" -d 'List requests for approval: yours, and those you may decide'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -f -a "show" -d 'Show one, with what its requester did lately'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -f -a "approve" -d 'Say yes'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -f -a "deny" -d 'Say no; also takes an approval back, and ends what lives by it'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and not __fish_seen_subcommand_from list show approve deny request" -f -a "request" -d 'Ask for an approval before you need it'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -l state -d 'Which: those that wait unless said' -r -f -a "pending\t''
approved\t''
denied\t''
expired\t''
all\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -l limit -d 'At most this many' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from show" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from show" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from show" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from show" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from show" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from show" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from show" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -l lasts -d 'Shorten the approval, such as to 30m; never longer than its policy says' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -l comment -d 'A word to the requester' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from approve" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from deny" -l comment -d 'A word to the requester' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from deny" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from deny" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from deny" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from deny" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from deny" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from deny" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from deny" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from deny" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from deny" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from request" -l reason -d 'Why you need it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from request" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from request" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from request" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from request" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from request" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from request" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from request" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from request" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand approvals; and __fish_seen_subcommand_from request" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand token" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand token" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand token" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand token" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand token" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand token" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand token" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand token" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand token" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand revoke" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand revoke" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand revoke" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand revoke" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand revoke" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand revoke" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand revoke" -l lift -d 'Lift what unusual use of this user was answered with'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand revoke" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand revoke" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -f -a "list" -d 'List sessions, the newest first'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -f -a "show" -d 'Show a session\'s exchanges, or everything about one exchange'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -f -a "replay" -d 'Play the answers of an exchange or a session as they came'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -f -a "export" -d 'Write recordings for other programs, or as they are stored'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and not __fish_seen_subcommand_from list show replay export verify" -f -a "verify" -d 'Prove that a recording is what was recorded, by itself and against the audit log'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l since -d 'With an exchange not before: RFC 3339, or how long ago, such as 30m, 12h or 7d' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l until -d 'With an exchange before: RFC 3339, or how long ago' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l user -d 'Only of this user' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l model -d 'Only with this model' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l verdict -l decision -d 'With an exchange of this verdict' -r -f -a "permit\t''
ask\t''
deny\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l masked -d 'With an answer in which this entity was masked, such as email' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l before -d 'Only those before this cursor, the `next` of an earlier answer' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l limit -d 'At most this many' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from show" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from show" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from show" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from show" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from show" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from show" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from show" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l file -d 'This recording, without any gateway: as it is stored, or as `export --format jsonl` writes it' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l identity -d 'A file of age identities that open what is sealed to them. May be given more than once [env: HOOPCTL_IDENTITY]' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l speed -d 'So many times as fast, such as 4 or 0.5' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l no-timing -d 'All at once'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l request -d 'The question too, before the answer'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -l raw -d 'The answer\'s bytes, also where its text is understood'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -l file -d 'This recording, without any gateway: as it is stored, or as `export --format jsonl` writes it' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -l identity -d 'A file of age identities that open what is sealed to them. May be given more than once [env: HOOPCTL_IDENTITY]' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -l format -d 'How to write it' -r -f -a "har\t'An HTTP archive (HAR 1.2), which browsers\' developer tools import'
jsonl\t'One entry of the recording a line'
raw\t'The answer\'s bytes as the caller received them, of one exchange'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -l to -d 'Into this new file instead of stdout' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -l sealed -d 'The recording as it is stored, sealed to its recipients, for `--file` elsewhere'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -l file -d 'This sealed recording, without any gateway' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -l bundle -d 'Where its audit event must be: a folder that `audit export --bundle` has written' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -l key -d 'The log\'s public key, or a file with it; without it the log\'s own word is taken for it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -l checkpoint -d 'A checkpoint kept from earlier: the log must go on from it. May be given more than once' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand sessions; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -f -a "query" -d 'Show events, the newest last'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -f -a "export" -d 'Write events for other programs, or the whole log for verifying it elsewhere'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -f -a "report" -d 'Report how everything was encrypted, for an auditor: one page, or JSON'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from query export report verify" -f -a "verify" -d 'Prove that nothing in the log was altered, dropped or cut off'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l since -d 'Not before: RFC 3339, or how long ago, such as 30m, 12h or 7d' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l until -d 'Not after: RFC 3339, or how long ago' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l user -d 'Only of this user' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l model -d 'Only of this model' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l kind -d 'Only of this kind: exchange, login, login_failed, renewal …' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l exchange -d 'Only of this exchange' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l session -d 'Only of this session' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l verdict -l decision -d 'Only with this verdict' -r -f -a "permit\t''
ask\t''
deny\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l masked -d 'Only where this entity was masked in the answer, such as email' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l after -d 'Only after this cursor, the `next` of an earlier answer' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l limit -d 'At most this many' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -s f -l follow -d 'Go on with new events as they come, until interrupted'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from query" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l since -d 'Not before: RFC 3339, or how long ago, such as 30m, 12h or 7d' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l until -d 'Not after: RFC 3339, or how long ago' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l user -d 'Only of this user' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l model -d 'Only of this model' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l kind -d 'Only of this kind: exchange, login, login_failed, renewal …' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l exchange -d 'Only of this exchange' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l session -d 'Only of this session' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l verdict -l decision -d 'Only with this verdict' -r -f -a "permit\t''
ask\t''
deny\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l masked -d 'Only where this entity was masked in the answer, such as email' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l format -d 'How to write events' -r -f -a "jsonl\t'One event a line, as the log has it'
ocsf\t'One event a line in the Open Cybersecurity Schema Framework'
csv\t'A table for spreadsheets'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l bundle -d 'Write the whole log with its proofs into this new folder instead, for `audit verify --bundle`' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -l recordings -d 'The sealed recordings of its exchanges too; needs the permission replay'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l since -d 'Not before: RFC 3339, or how long ago, such as 90d' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l until -d 'Not after: RFC 3339, or how long ago; now when it is not given' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l format -d 'A page for people, or the figures for programs; html unless -o json is given' -r -f -a "html\t'One self-contained page, to be read on a screen or printed'
json\t'Every figure, `schema` 1'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l file -d 'Write it to this file instead of stdout' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l bundle -d 'Of this folder, which `audit export --bundle` has written: verified first, without any gateway' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l key -d 'The log\'s public key, or a file with it, for --bundle; without it the bundle\'s own word is taken for it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l bundle -d 'Verify this folder, which `audit export --bundle` has written, without any gateway' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l key -d 'The log\'s public key, or a file with it; without it the log\'s own word is taken for it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l checkpoint -d 'A checkpoint kept from earlier: the log must go on from it. May be given more than once' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l keep -d 'Keep the verified checkpoint in this file, for a later --checkpoint' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand doctor" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand doctor" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand doctor" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand doctor" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand doctor" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand doctor" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand doctor" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand doctor" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l dir -d 'Keep the gateway\'s files here [default: a folder that is removed in the end]' -r -f -a "(__fish_complete_directories)"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l once -d 'End after one answer: exit 0 only if it came through the tunnel'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -f -a "init" -d 'Write a first gateway.toml and policies into a folder'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -f -a "run" -d 'Run the gateway until SIGTERM or Ctrl-C'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -f -a "check" -d 'Find every mistake in gateway.toml and its policies, offline'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -f -a "explain" -d 'Say what policy answers to whom, and why, offline'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -f -a "mask" -d 'Mask values in a text: stdin → stdout, offline'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and not __fish_seen_subcommand_from init run check explain mask ca" -f -a "ca" -d 'The gateway\'s own certificate authority'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from init" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from init" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from init" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from init" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from init" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from init" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from init" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from init" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from run" -l config -d 'The configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from run" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from run" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from run" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from run" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from run" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from run" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from run" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from run" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -l config -d 'The configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -l policy-tests -d 'Also ask the policies every case of this file, and name those answered otherwise than expected' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l config -d 'The configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l user -d 'Who asks: email, name or subject, as `hoopctl status` shows it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l group -d 'A group the user is in; may be repeated' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l model -d 'The model asked for' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l action -d 'What the user wants to do' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l provider -d 'The identity provider the user comes from, as gateway.toml names it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l method -d 'The request\'s method' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l path -d 'The request\'s path' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l requested-model -d 'The model named in the request itself' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l source-ip -d 'The address the user comes from' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l over -d 'The carrier the user comes over' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l at -d 'When, such as 2026-11-23T07:15:00Z [default: now]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l approved -d 'As if a person had approved it'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -l workload -d 'The user is a workload, not a person'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -l config -d 'Take the entities of this configuration file, and with --model what that model masks' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -l model -d 'The model whose `mask` is taken' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -l entities -d 'What to mask: groups and entities, parted by commas [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -l style -d 'How a masked value is written [default: label]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -l jsonl -d 'Each line is an object with `id` and `text`, and so is each line written'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from mask" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -l gateway -d 'The gateway\'s address; the profile\'s unless said [env: HOOPCTL_GATEWAY]' -r -f
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -l profile -d 'Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -s o -l output -d 'How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]' -r -f -a "human\t''
json\t''
jsonl\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -l color -d 'When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -l credential-store -d 'Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -l transport -d 'How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]' -r -f -a "auto\t''
quic\t''
tcp\t''"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -s q -l quiet -d 'Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -s v -l verbose -d 'More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -s h -l help -d 'Print help'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -f -a "fingerprint" -d 'Print the authority\'s SHA-256, for `hoopctl login --ca-fingerprint`'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -f -a "export" -d 'Print the authority\'s certificate as PEM, for `hoopctl login --ca-file`'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand gateway; and __fish_seen_subcommand_from ca" -f -a "rotate" -d 'Replace the authority\'s root, which laptops learn of before it changes'
