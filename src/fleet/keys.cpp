#include "fleet/keys.hpp"

#include <algorithm>
#include <array>

namespace muster::fleet::detail {
namespace {

constexpr std::optional<Field> no_counterpart = std::nullopt;

constexpr auto device_rules = std::to_array<KeyRule>({
    {"host", Field::host},
    {"hostname", Field::host},
    {"ip", Field::host},
    {"port", Field::port},
    {"platform", Field::platform},
    {"device_type", Field::platform},
    {"transport", Field::transport},
    {"username", Field::username},
    {"password", Field::password},
    {"secret", Field::secret},
    {"key", Field::key},
    {"key_file", Field::key},
    {"passphrase", Field::passphrase},
    {"connect_timeout", Field::connect_timeout},
    {"conn_timeout", Field::connect_timeout},
    {"auth_timeout", Field::authenticate_timeout},
    {"command_timeout", Field::command_timeout},
    {"read_timeout_override", Field::command_timeout},
    {"legacy_algorithms", Field::legacy_algorithms},
    {"verify_tls", Field::verify_tls},
    {"ca_file", Field::ca_file},
    // netmiko
    {"allow_agent", no_counterpart},
    {"allow_auto_change", no_counterpart},
    {"alt_host_keys", no_counterpart},
    {"alt_key_file", no_counterpart},
    {"auto_connect", no_counterpart},
    {"banner_timeout", no_counterpart},
    {"blocking_timeout", no_counterpart},
    {"default_enter", no_counterpart},
    {"delay_factor_compat", no_counterpart},
    {"disable_lf_normalization", no_counterpart},
    {"disable_sha2_fix", no_counterpart},
    {"disabled_algorithms", no_counterpart},
    {"encoding", no_counterpart},
    {"fast_cli", no_counterpart},
    {"global_cmd_verify", no_counterpart},
    {"global_delay_factor", no_counterpart},
    {"keepalive", no_counterpart},
    {"response_return", no_counterpart},
    {"serial_settings", no_counterpart},
    {"session_log", no_counterpart},
    {"session_log_file_mode", no_counterpart},
    {"session_log_record_writes", no_counterpart},
    {"session_timeout", no_counterpart},
    {"sock_telnet", no_counterpart},
    {"ssh_config_file", no_counterpart},
    {"ssh_strict", no_counterpart},
    {"system_host_keys", no_counterpart},
    {"timeout", no_counterpart},
    {"use_keys", no_counterpart},
    {"verbose", no_counterpart},
});

constexpr auto scrapli_rules = std::to_array<KeyRule>({
    {"host", Field::host},
    {"port", Field::port},
    {"auth_username", Field::username},
    {"auth_password", Field::password},
    {"auth_secondary", Field::secret},
    {"auth_private_key", Field::key},
    {"auth_private_key_passphrase", Field::passphrase},
    {"timeout_socket", Field::connect_timeout},
    {"timeout_transport", Field::authenticate_timeout},
    {"timeout_ops", Field::command_timeout},
});

constexpr auto napalm_rules = std::to_array<KeyRule>({
    {"port", Field::port},
    {"secret", Field::secret},
    {"enable_password", Field::secret},
    {"key_file", Field::key},
    {"passphrase", Field::passphrase},
    {"conn_timeout", Field::connect_timeout},
    {"auth_timeout", Field::authenticate_timeout},
    {"read_timeout_override", Field::command_timeout},
});

constexpr auto ansible_rules = std::to_array<KeyRule>({
    {"ansible_host", Field::host},
    {"ansible_ssh_host", Field::host},
    {"ansible_port", Field::port},
    {"ansible_ssh_port", Field::port},
    {"ansible_httpapi_port", Field::port},
    {"ansible_network_os", Field::platform},
    {"ansible_user", Field::username},
    {"ansible_ssh_user", Field::username},
    {"ansible_password", Field::password},
    {"ansible_ssh_pass", Field::password},
    {"ansible_ssh_password", Field::password},
    {"ansible_become_password", Field::secret},
    {"ansible_become_pass", Field::secret},
    {"ansible_ssh_private_key_file", Field::key},
    {"ansible_private_key_file", Field::key},
    {"ansible_ssh_private_key_passphrase", Field::passphrase},
    {"ansible_connect_timeout", Field::connect_timeout},
    {"ansible_ssh_timeout", Field::connect_timeout},
    {"ansible_command_timeout", Field::command_timeout},
    {"ansible_httpapi_validate_certs", Field::verify_tls},
    {"ansible_httpapi_ca_path", Field::ca_file},
});

} // namespace

std::span<const KeyRule> device_keys() { return device_rules; }

std::span<const KeyRule> scrapli_keys() { return scrapli_rules; }

std::span<const KeyRule> napalm_keys() { return napalm_rules; }

std::span<const KeyRule> ansible_keys() { return ansible_rules; }

const KeyRule* find_rule(std::span<const KeyRule> rules, std::string_view key) {
    const auto found = std::find_if(rules.begin(), rules.end(),
                                    [&](const KeyRule& rule) { return rule.key == key; });
    return found == rules.end() ? nullptr : &*found;
}

} // namespace muster::fleet::detail
